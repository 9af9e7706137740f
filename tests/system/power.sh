#!/bin/sh
# Power cuts in the middle of things. The container stands on an ext4 of its own that stops dead (FS_IOC_SHUTDOWN: what
# is not on the disk by then is lost), its processes are killed, and it is booted again. Whatever the moment was:
# lookout runs, with the old release and its config or the new one and its, and with a model that is whole.
set -eu
. "$(dirname "$0")/lane.sh"
. tests/system/container.sh
wrong() { echo "RESULT fail: $*"; inside journalctl -u lookout -n 30 --no-pager -o cat || true; exit 1; }
# until N COMMAND...: five times a second, at most N seconds
until_true() { tries=$(($1 * 5)); shift; for _ in $(seq "$tries"); do "$@" && return; sleep 0.2; done; wrong "$* was never true"; }
is_active() { inside systemctl is-active -q lookout; }
lookout() { inside /opt/lookout/current/bin/lookout "$@"; }
current() { inside readlink /opt/lookout/current; }
is_switched() { [ "$(current)" != "$before" ]; }

power_off() {
  "$PYTHON" -c 'import fcntl, os, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, b"\2\0\0\0")' "$RUN/upper"
  pkill -KILL -P "$operation" 2>/dev/null || true  # nsenter, which would keep the container's mounts
  kill -KILL "$PID" "$NSPAWN" "$operation" 2>/dev/null || true
  wait "$NSPAWN" "$operation" 2>/dev/null || true
  unlayer
  for _ in $(seq 300); do [ -e "/sys/fs/ext4/${LOOP##*/}" ] || return 0; sleep 0.2; done  # until its last process is gone
  echo "RESULT fail: $LOOP stays mounted"
  exit 1
}
power_on() { layer "$LOOP"; boot; }

operate() {  # operate install|update|nothing N
  case $1 in
    install)  # with a config and a model of its own: all that a deploy may switch
      printf 'device = "v%s"\n[cameras.front]\nkind = "synthetic"\n[model]\n#file = "/opt/lookout/models/x.tflite"\n' "$2" |
        inside sh -c 'mkdir -p /root/stage/config /root/stage/model; cat > /root/stage/config/agent.toml'
      inside cp "/root/models/mine$2.tflite" /root/stage/model/mine.tflite
      inside env STEADY_S=1 sh /root/stage/install.sh install "v$2" ;;
    update) lookout update "/root/models/mine$2.tflite" && inside systemctl restart lookout ;;
    nothing) sleep 60 ;;
  esac
}

# cut_power OPERATION MOMENT: seconds after its beginning; a file whose coming is waited for; "written": the config of a
# deploy is on the disk, as the kernel sees to every few seconds, its release not switched to yet; "switched": it is
cut_power() {
  n=$((n + 1)) before=$(current)
  operate "$1" "$n" > "$LAB/power-operation.log" 2>&1 &
  operation=$!
  case $2 in
    /*) until_true 180 inside sh -c "ls -d $2 >/dev/null 2>&1" ;;
    written)
      until_true 180 inside sh -c 'ls -d /etc/lookout/agent.toml.before-* >/dev/null 2>&1'
      inside pkill -STOP -f 'install.sh install'
      sync -f "$RUN/upper" ;;
    switched) until_true 180 is_switched ;;
    *) sleep "$2" ;;
  esac
  power_off
  power_on
  until_true 120 is_active
  now=$(current)
  [ "$now" = "$before" ] || [ "$now" = "releases/v$n" ] || wrong "$now is neither $before nor v$n"
  inside grep -q "^device = \"${now#releases/}\"" /etc/lookout/agent.toml || wrong "$now with the config of another"
  lookout check /etc/lookout/agent.toml >/dev/null || wrong "the config or its model is not whole"
  inside sh -c 'for model in /var/lib/lookout/models/*/*.tflite; do [ ! -e "$model" ] || [ -s "$model" ] || exit 1; done' || wrong "an empty model"
  inside journalctl -b -u lookout --no-pager -o cat > "$LAB/power-journal.log"
  ! grep "cannot be read" "$LAB/power-journal.log" || wrong "something is half written"
  [ "$2" != written ] || ! inside test -e "/opt/lookout/releases/v$n" || wrong "v$n was not undone"
  echo "cut in $1, $2: ${now#releases/} runs"
}

unlayer
rm -f "$LAB/power.ext4"; truncate -s 3G "$LAB/power.ext4"; mkfs.ext4 -q "$LAB/power.ext4"
LOOP=$(losetup -f --show "$LAB/power.ext4") || unable "no loop device"
PID= NSPAWN=
trap 'kill -9 $PID $NSPAWN 2>/dev/null || true; unlayer; losetup -d "$LOOP"; rm -f "$LAB/power.ext4"' EXIT
layer "$LOOP"
prepare
"$PYTHON" systemd/bundle.py "$LAB/bundle-here" --python 3.13 --machine "$(uname -m)" --glibc 2.41
cp -r "$LAB/bundle-here" "$RUN/root/root/stage"
mkdir "$RUN/root/root/models"
"$PYTHON" - "$SHIPPED.tflite" "$RUN/root/root/models" <<'P'
import shutil, sys, zipfile
for n in range(20):  # the same model in as many files: another comment in the archive at its end
    copy = shutil.copy(sys.argv[1], f"{sys.argv[2]}/mine{n}.tflite")
    with zipfile.ZipFile(copy, "a") as archive:
        archive.comment = str(n).encode()
P
boot
n=0
operate install 0 || wrong "the first installation"
sync
cut_power install 4  # while it unpacks
cut_power install '/etc/lookout/agent.toml.before-*'
cut_power install written
cut_power update '/var/lib/private/lookout/models/.incoming-*'
cut_power update 2
cut_power install switched  # it starts for the first time
cut_power update 6
cut_power nothing 3
operate install 15 || wrong "an installation after all that"
[ "$(current)" = releases/v15 ] || wrong "it was not switched"
inside sh -c '! ls /etc/lookout/agent.toml.before-* 2>/dev/null' || wrong "what a cut left is still there"
halt
echo "RESULT pass: eight power cuts, and it ran after each"
