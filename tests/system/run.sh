#!/bin/sh
# What needs more of an operating system than a test suite should touch, on this machine, as root:
#
#   run.sh camera    the agent's picamera plugin on the real picamera2 and libcamera's virtual camera
#   run.sh verify    the unit as systemd 252 (bookworm) and 257 (trixie) understand it, and how exposed they find it
#   run.sh deploy    `make deploy` over a real sshd to a real systemd: install, kill, hang, bad release, rollback
#   run.sh deb       the .deb of `make deb` under a real systemd: installed, running, changed config kept, purged
#   run.sh power     power cuts while a release or a model is installed: the old one runs afterwards, or the new one
#   run.sh userland  a Pi's wheels as ARM code under qemu, outputs bit by bit (arm64.sh)
#   run.sh machine   an ARM machine under qemu with a V4L2 camera (vm.sh)
#   run.sh           all
#
# A Debian trixie is built once (2 minutes, 1 GB) in LAB, and every run uses a throw-away layer on top of it. Each lane
# ends with a line "RESULT pass ..." or "RESULT skip ..." (never with CI=true), or the run fails.
set -eu
. "$(dirname "$0")/lane.sh"
. tests/system/container.sh
PORT=2222 LANES=${*:-camera verify deploy deb power userland machine}
need mmdebstrap=mmdebstrap systemd-container=systemd-nspawn openssh-client=ssh rsync=rsync procps=pgrep e2fsprogs=mkfs.ext4

camera() {
  build
  if [ ! -e "$ROOT/opt/cam/.complete" ]; then
    cp /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/"; cp /etc/resolv.conf "$ROOT/etc/"
    mount -t proc proc "$ROOT/proc"
    chroot "$ROOT" env -u PIP_FIND_LINKS sh -ec 'python3 -m venv --system-site-packages /opt/cam
      /opt/cam/bin/pip install -q --prefer-binary picamera2 opencv-python-headless msgspec && touch /opt/cam/.complete' ||
      { umount "$ROOT/proc"; exit 1; }
    umount "$ROOT/proc"
  fi
  throwaway
  mount -t proc proc "$RUN/root/proc"; mount --bind /dev "$RUN/root/dev"; mount -t sysfs sys "$RUN/root/sys"
  mkdir -p "$RUN/root/opt/test" "$RUN/root/usr/share/libcamera/pipeline/virtual"
  cp -r "$HERE/agent" tests/system/camera.py tests/system/fakedmabuf.c "$RUN/root/opt/test/"
  cp tests/system/virtual.yaml "$RUN/root/usr/share/libcamera/pipeline/virtual/"
  chroot "$RUN/root" sh -ec 'cd /opt/test; gcc -shared -fPIC -O2 -o libfakedmabuf.so fakedmabuf.c -ldl
    LIBCAMERA_LOG_LEVELS="*:ERROR" LD_PRELOAD=/opt/test/libfakedmabuf.so timeout 120 /opt/cam/bin/python camera.py' |
    tee "$LAB/camera.log"
  unlayer
  passed camera
}

verify() {
  build
  [ -e "$LAB/bookworm/.complete" ] || { debian "$LAB/bookworm" bookworm --variant=extract --include=systemd,dash,coreutils,procps
    touch "$LAB/bookworm/.complete"; }
  for suite in bookworm=252 trixie=257; do
    there=$LAB/${suite%=*}
    mkdir -p "$there/opt/lookout/current/bin" "$there/etc/systemd/system" "$there/run/systemd"
    printf '#!/bin/sh\n' > "$there/opt/lookout/current/bin/lookout"; chmod +x "$there/opt/lookout/current/bin/lookout"
    cp systemd/lookout.service "$there/etc/systemd/system/"
    rm -rf "$there/etc/systemd/system/lookout.service.d"
    [ "${suite%=*}" = bookworm ] || install -D -m 644 systemd/restart.conf "$there/etc/systemd/system/lookout.service.d/10-restart.conf"
    chroot "$there" systemctl --version | grep -q "systemd ${suite#*=} " || { echo "RESULT fail: $suite"; exit 1; }
    told=$(chroot "$there" systemd-analyze verify --man=no lookout.service 2>&1) && [ -z "$told" ] ||
      { echo "RESULT fail: systemd ${suite#*=}: $told"; exit 1; }
    chroot "$there" systemd-analyze security --no-pager --offline=true --threshold=15 lookout.service > "$LAB/verify.txt" ||
      { tail -1 "$LAB/verify.txt"; echo "RESULT fail: systemd ${suite#*=}: exposure"; exit 1; }
    echo "systemd ${suite#*=}: $(tail -1 "$LAB/verify.txt")"
    rm -rf "$there/opt/lookout" "$there/etc/systemd/system/lookout.service" "$there/etc/systemd/system/lookout.service.d"
  done
  echo "RESULT pass: the unit is understood by systemd 252 and 257"
}

deploy() {
  build
  throwaway
  prepare
  mount -t proc proc "$RUN/root/proc"
  rm -f "$LAB/key" "$LAB/key.pub"; ssh-keygen -q -t ed25519 -N '' -f "$LAB/key"
  chroot "$RUN/root" sh -ec 'useradd -m -s /bin/bash -G sudo,video pi; install -d -m 700 -o pi /home/pi/.ssh
    echo "pi ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/pi; systemctl -q disable ssh.socket || true
    printf "Port %s\nListenAddress 127.0.0.1\n" '$PORT' > /etc/ssh/sshd_config.d/test.conf'
  umount "$RUN/root/proc"
  install -m 600 "$LAB/key.pub" "$RUN/root/home/pi/.ssh/authorized_keys"
  chroot "$RUN/root" chown pi /home/pi/.ssh/authorized_keys
  boot
  echo "127.0.0.1 pi" >> "$RUN/root/etc/hosts"
  PID=$PID PORT=$PORT LAB=$LAB PYTHON=$PYTHON SHIPPED=$SHIPPED sh tests/system/deploy.sh 2>&1 | tee "$LAB/deploy.log" || true
  halt
  unlayer
  passed deploy
}

deb() {
  build
  case $(uname -m) in x86_64) architecture=amd64 ;; *) architecture=arm64 ;; esac
  "$PYTHON" systemd/deb.py "$LAB/deb" --release trixie --machine "$(uname -m)"
  throwaway
  prepare
  cp "$LAB"/deb/lookout_*~trixie_$architecture.deb "$RUN/root/root/lookout.deb"
  boot
  PID=$PID sh tests/system/deb.sh 2>&1 | tee "$LAB/deb.log" || true
  halt
  unlayer
  passed deb
}

power() {
  build
  sh tests/system/power.sh 2>&1 | tee "$LAB/power.log" || true
  passed power
}
userland() { sh tests/system/arm64.sh 2>&1 | tee "$LAB/userland.log" || true; passed userland; }
machine() { sh tests/system/vm.sh 2>&1 | tee "$LAB/machine.log" || true; passed machine; }

passed() { grep -Eq '^RESULT (pass|skip)' "$LAB/$1.log" && ! grep -q '^RESULT fail' "$LAB/$1.log"; }

for lane in $LANES; do
  echo "== $lane"
  begin=$(date +%s)
  ("$lane")  # one that cannot run here ends alone
  echo "$lane: $(($(date +%s) - begin)) s"
done
