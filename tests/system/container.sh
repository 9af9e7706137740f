# Sourced by what needs systemd as the first process: a Debian trixie, built once, under a throw-away layer, booted.
ROOT=$LAB/trixie RUN=$LAB/run

build() {
  [ ! -e "$ROOT/.complete" ] || return 0
  debian "$ROOT" trixie --variant=minbase \
    --include=systemd,systemd-sysv,dbus,udev,openssh-server,rsync,sudo,iproute2,procps,ca-certificates,python3,python3-venv \
    --include=python3-libcamera,libcamera-ipa,libcamera-tools,python3-numpy,python3-av,python3-prctl,python3-piexif \
    --include=python3-libarchive-c,python3-pil,gcc,libc6-dev,python3-dev,linux-libc-dev
  touch "$ROOT/.complete"
}

# layer SOURCE...: what is written goes there; `mount`'s words, as "-t tmpfs layer".
layer() {
  mkdir -p "$RUN/upper" "$RUN/root"
  mount "$@" "$RUN/upper"
  mkdir -p "$RUN/upper/up" "$RUN/upper/work"
  mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$RUN/upper/up,workdir=$RUN/upper/work" "$RUN/root"
}
throwaway() { unlayer; trap unlayer EXIT; layer -t tmpfs -o size=3g layer; }  # who laid it takes it away, nobody else
unlayer() {
  for place in root/sys root/dev root/proc root upper; do umount -l "$RUN/$place" 2>/dev/null || true; done
}

prepare() {  # a machine of its own; nothing in it touches the network or the devices of this one
  mount -t proc proc "$RUN/root/proc"
  chroot "$RUN/root" sh -ec ': > /etc/machine-id; echo pi > /etc/hostname; systemctl -q enable ssh
    systemctl -q mask systemd-udevd systemd-udevd.service systemd-resolved systemd-networkd'
  umount "$RUN/root/proc"
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
    PID=$(pgrep -P "$NSPAWN" || true)  # nspawn's only child is the container's first process
    [ -z "$PID" ] || ! inside systemctl is-active -q ssh 2>/dev/null || { BOOTED=yes; return 0; }
    kill -0 "$NSPAWN" 2>/dev/null || break
    sleep 1
  done
  tail -20 "$LAB/boot.log" >&2
  [ -z "${BOOTED:-}" ] || { echo "RESULT fail: the container does not start again"; exit 1; }
  unable "no container with systemd starts; the lines above say why"
}

inside() {
  nsenter -t "$PID" -m -u -i -n -p -C env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

halt() {
  inside systemctl poweroff 2>/dev/null || true
  for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$NSPAWN" 2>/dev/null || break; sleep 1; done
  kill -9 "$NSPAWN" "$PID" 2>/dev/null || true
  wait "$NSPAWN" 2>/dev/null || true
}
