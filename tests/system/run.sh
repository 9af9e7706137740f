#!/bin/sh
# What needs more of an operating system than a test suite should touch, on this machine, as root:
#
#   run.sh camera   the agent's picamera plugin on the real picamera2 and libcamera's virtual camera
#   run.sh deploy   `make deploy` over a real sshd to a real systemd: install, kill, hang, bad release, rollback
#   run.sh deb      the .deb of `make deb` under a real systemd: installed, running, changed config kept, purged
#   run.sh          all
#
# A Debian trixie is built once (5 minutes, 1 GB) in LAB, and every run uses a throw-away copy on top of it. Needs
# mmdebstrap, systemd-container, openssh-client, rsync. Each lane ends with a line "RESULT pass ..." or the run fails.
set -eu
cd "$(dirname "$0")/../.."
HERE=$PWD LAB=${LAB:-/var/tmp/lookout-lab} PYTHON=${PYTHON:-python3} PORT=2222
ROOT=$LAB/trixie RUN=$LAB/run LANES=${*:-camera deploy deb}
[ "$(id -u)" = 0 ] || { echo "test-system: needs root" >&2; exit 1; }
for tool in mmdebstrap systemd-nspawn rsync ssh; do
  command -v $tool >/dev/null || { echo "test-system: apt install mmdebstrap debian-archive-keyring systemd-container openssh-client rsync" >&2; exit 1; }
done

build() {
  [ ! -e "$ROOT/.complete" ] || return 0
  echo "building $ROOT (once)"
  rm -rf "$ROOT"; mkdir -p "$LAB"
  mirror=$(awk '/^URIs/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)  # else mmdebstrap's own
  mmdebstrap --quiet --variant=minbase --components=main --aptopt='Acquire::Languages "none"' \
    --aptopt='Apt::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include=systemd,systemd-sysv,dbus,udev,openssh-server,rsync,sudo,iproute2,procps,ca-certificates,python3,python3-venv \
    --include=python3-libcamera,libcamera-ipa,libcamera-tools,python3-numpy,python3-av,python3-prctl,python3-piexif \
    --include=python3-libarchive-c,python3-pil,gcc,libc6-dev,python3-dev,linux-libc-dev \
    trixie "$ROOT" $mirror
  touch "$ROOT/.complete"
}

# A throw-away layer over the built system.
layer() {
  unlayer
  mkdir -p "$RUN/upper" "$RUN/work" "$RUN/root"
  mount -t tmpfs -o size=3g layer "$RUN/upper"
  mkdir -p "$RUN/upper/up" "$RUN/upper/work"
  mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$RUN/upper/up,workdir=$RUN/upper/work" "$RUN/root"
}
unlayer() {
  for place in root/sys root/dev root/proc root upper; do umount -l "$RUN/$place" 2>/dev/null || true; done
}

camera() {
  if [ ! -e "$ROOT/opt/cam/.complete" ]; then
    cp /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/"; cp /etc/resolv.conf "$ROOT/etc/"
    mount -t proc proc "$ROOT/proc"
    chroot "$ROOT" env -u PIP_FIND_LINKS sh -ec 'python3 -m venv --system-site-packages /opt/cam
      /opt/cam/bin/pip install -q --prefer-binary picamera2 opencv-python-headless msgspec && touch /opt/cam/.complete' ||
      { umount "$ROOT/proc"; exit 1; }
    umount "$ROOT/proc"
  fi
  layer
  mount -t proc proc "$RUN/root/proc"; mount --bind /dev "$RUN/root/dev"; mount -t sysfs sys "$RUN/root/sys"
  mkdir -p "$RUN/root/opt/test" "$RUN/root/usr/share/libcamera/pipeline/virtual"
  cp -r "$HERE/agent" tests/system/camera.py tests/system/fakedmabuf.c "$RUN/root/opt/test/"
  cp tests/system/virtual.yaml "$RUN/root/usr/share/libcamera/pipeline/virtual/"
  chroot "$RUN/root" sh -ec 'cd /opt/test; gcc -shared -fPIC -O2 -o libfakedmabuf.so fakedmabuf.c -ldl
    LIBCAMERA_LOG_LEVELS="*:ERROR" LD_PRELOAD=/opt/test/libfakedmabuf.so timeout 120 /opt/cam/bin/python camera.py' |
    tee "$LAB/camera.log"
  unlayer
  grep -q '^RESULT pass' "$LAB/camera.log"
}

deploy() {
  layer
  mount -t proc proc "$RUN/root/proc"
  rm -f "$LAB/key" "$LAB/key.pub"; ssh-keygen -q -t ed25519 -N '' -f "$LAB/key"
  chroot "$RUN/root" sh -ec 'useradd -m -s /bin/bash -G sudo,video pi; install -d -m 700 -o pi /home/pi/.ssh
    echo "pi ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/pi; : > /etc/machine-id; systemctl -q disable ssh.socket ssh || true
    printf "Port %s\nListenAddress 127.0.0.1\n" '$PORT' > /etc/ssh/sshd_config.d/test.conf; systemctl -q enable ssh
    echo pi > /etc/hostname; systemctl -q mask systemd-udevd systemd-udevd.service systemd-resolved systemd-networkd'
  umount "$RUN/root/proc"
  install -m 600 "$LAB/key.pub" "$RUN/root/home/pi/.ssh/authorized_keys"
  chroot "$RUN/root" chown pi /home/pi/.ssh/authorized_keys
  boot
  echo "127.0.0.1 pi" >> "$RUN/root/etc/hosts"
  PID=$PID PORT=$PORT LAB=$LAB PYTHON=$PYTHON sh tests/system/deploy.sh 2>&1 | tee "$LAB/deploy.log" || true
  halt
  grep -q '^RESULT pass' "$LAB/deploy.log"
}

deb() {
  case $(uname -m) in x86_64) architecture=amd64 ;; *) architecture=arm64 ;; esac
  "$PYTHON" systemd/deb.py "$LAB/deb" --release trixie --machine "$(uname -m)"
  layer
  chroot "$RUN/root" sh -ec ': > /etc/machine-id; echo pi > /etc/hostname; systemctl -q enable ssh
    systemctl -q mask systemd-udevd systemd-udevd.service systemd-resolved systemd-networkd'
  cp "$LAB"/deb/lookout_*~trixie_$architecture.deb "$RUN/root/root/lookout.deb"
  boot
  PID=$PID sh tests/system/deb.sh 2>&1 | tee "$LAB/deb.log" || true
  halt
  grep -q '^RESULT pass' "$LAB/deb.log"
}

halt() {
  nsenter -t "$PID" -m -u -i -n -p -C systemctl poweroff 2>/dev/null || true
  for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$NSPAWN" 2>/dev/null || break; sleep 1; done
  kill -9 "$NSPAWN" "$PID" 2>/dev/null || true
  unlayer
}

# systemd as the first process: a cgroup of version 2 in a mount namespace of its own; the network is ours.
boot() {
  unshare -m --propagation private sh -ec '
    umount -R -l /sys/fs/cgroup 2>/dev/null || true; mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir -p /sys/fs/cgroup/lookout-test; echo $$ > /sys/fs/cgroup/lookout-test/cgroup.procs
    exec systemd-nspawn --quiet -D "$0" --boot --register=no --keep-unit --machine=pi --console=pipe systemd.log_color=0
  ' "$RUN/root" > "$LAB/boot.log" 2>&1 < /dev/null &
  NSPAWN=$!
  for _ in $(seq 60); do
    PID=$(pgrep -f '/systemd systemd.log_color=0$' | tail -1 || true)
    [ -n "$PID" ] && nsenter -t "$PID" -m -u -i -n -p -C systemctl is-active -q ssh 2>/dev/null && return
    sleep 1
  done
  tail -20 "$LAB/boot.log" >&2
  echo "test-system: the container does not start" >&2
  exit 1
}

trap unlayer EXIT
build
for lane in $LANES; do
  echo "== $lane"
  "$lane"
done
