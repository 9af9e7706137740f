#!/bin/sh
# The wheels that `make deploy` ships, run as 64-bit ARM code under qemu: on Debian bookworm (Python 3.11) and trixie
# (3.13), which Raspberry Pi OS is made of, on the cores of a Pi 4 and a Pi 5. The shipped model's raw int8 outputs
# must be those of this machine, bit by bit, and the whole agent must replay a scene to the same events.
#
# Emulated: right or wrong can be seen here, never how fast. As root; needs mmdebstrap, qemu-user-static.
# qemu's own "max" processor is never used: version 7.2 computes wrong int8 on it. /proc/cpuinfo must be an ARM one,
# or LiteRT's cpuinfo either crashes (x86 text) or leaves XNNPACK out (no text).
set -eu
. "$(dirname "$0")/lane.sh"
SUITES=${*:-bookworm trixie}
need mmdebstrap=mmdebstrap qemu-user-static=qemu-aarch64-static
BINFMT=/proc/sys/fs/binfmt_misc
mountpoint -q $BINFMT || mount -t binfmt_misc binfmt_misc $BINFMT || unable "no binfmt_misc: foreign programs cannot be run"
[ -e $BINFMT/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf > $BINFMT/register ||
  unable "ARM programs cannot be registered with binfmt_misc"

cpuinfo() {  # a board's: part, its features, its name
  for n in 0 1 2 3; do
    printf 'processor\t: %s\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid %s\n' $n "$2"
    printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: %s\nCPU revision\t: 3\n\n' "$1"
  done
  printf 'Model\t\t: %s\n' "$3"
}

build() {  # no foreign code runs: enough for Python and wheels
  [ ! -e "$ROOT/.complete" ] || return 0
  debian "$ROOT" "$suite" --variant=extract --arch=arm64 \
    --include=base-files,python3,libstdc++6,libc-bin,coreutils,dash,ca-certificates
  mkdir -p "$ROOT/proc" "$ROOT/sys" "$ROOT/tmp"
  touch "$ROOT/.complete"
}

ship() {
  OUT=$LAB/bundle-$suite
  "$PYTHON" systemd/bundle.py "$OUT" --python "$1" --machine aarch64 --glibc "$2"
  rm -rf "$ROOT/opt/site"; mkdir -p "$ROOT/opt/site" "$ROOT/opt/test"
  for wheel in "$OUT"/wheels/*.whl "$OUT"/lookout_agent-*.whl; do "$PYTHON" -m zipfile -e "$wheel" "$ROOT/opt/site"; done
  cp "$SHIPPED.tflite" "$ROOT/opt/test/model.tflite"
  cp "$SHIPPED.json" "$ROOT/opt/test/model.json" 2>/dev/null || true
  cp tests/system/arm64.py "$ROOT/opt/test/"
}

unmount() { for place in proc/cpuinfo proc sys; do umount -l "$ROOT/$place" 2>/dev/null || true; done; }

run() {  # run CORE CPUINFO: what the agent computes there
  mount -t proc proc "$ROOT/proc"; mount -t sysfs sys "$ROOT/sys"; mount --bind "$2" "$ROOT/proc/cpuinfo"
  status=0
  chroot "$ROOT" env -i PATH=/usr/bin:/bin HOME=/tmp QEMU_CPU="$1" PYTHONPATH=/opt/site OPENBLAS_NUM_THREADS=1 \
    timeout 600 python3 /opt/test/arm64.py /opt/test/model.tflite > "$LAB/$suite-$1.json" 2> "$LAB/$suite-$1.err" || status=$?
  unmount
  [ $status = 0 ] || { tail -20 "$LAB/$suite-$1.err"; echo "RESULT fail: $suite on $1: exit $status"; exit 1; }
  grep -q XNNPACK "$LAB/$suite-$1.err" || { echo "RESULT fail: $suite on $1: XNNPACK is not in use"; exit 1; }
}

cpuinfo 0xd08 "" "Raspberry Pi 4 Model B Rev 1.4" > "$LAB/pi4"
cpuinfo 0xd0b "atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp" "Raspberry Pi 5 Model B Rev 1.0" > "$LAB/pi5"
"$PYTHON" tests/system/arm64.py "$SHIPPED.tflite" > "$LAB/here.json" 2>/dev/null
trap 'unmount' EXIT
for suite in $SUITES; do
  ROOT=$LAB/arm64-$suite
  unmount
  build
  case $suite in bookworm) ship 3.11 2.36 ;; *) ship 3.13 2.41 ;; esac
  for core in cortex-a72=pi4 cortex-a76=pi5; do
    run "${core%=*}" "$LAB/${core#*=}"
    echo "$suite on ${core%=*}: $(cat "$LAB/$suite-${core%=*}.json")"
    "$PYTHON" tests/system/arm64.py --compare "$LAB/here.json" "$LAB/$suite-${core%=*}.json"
  done
done
echo "RESULT pass: $SUITES, int8 outputs bit-identical to $(uname -m) on cortex-a72 and cortex-a76"
