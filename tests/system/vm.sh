#!/bin/sh
# A whole 64-bit ARM machine under qemu: Debian trixie's arm64 kernel with a real /dev/video0 (vivid), the .deb of
# `make deb`, mosquitto. The agent must publish its camera as online, look at frames, notice that the camera is
# unplugged, and find it again. Emulated: right or wrong can be seen here, never how fast.
#
# As root; needs mmdebstrap, qemu-system-arm, cpio, kmod. About two minutes after the first build.
set -eu
. "$(dirname "$0")/lane.sh"
ROOT=$LAB/vm-trixie
need mmdebstrap=mmdebstrap qemu-system-arm=qemu-system-aarch64 cpio=cpio kmod=depmod

build() {  # no foreign code runs: packages are only unpacked
  [ ! -e "$ROOT.complete" ] || return 0
  rm -f "$ROOT".*
  debian "$ROOT" trixie --variant=extract --arch=arm64 --include=mosquitto,mosquitto-clients \
    --include=base-files,python3,libstdc++6,libgomp1,libc-bin,coreutils,dash,grep,sed,kmod,mount,iproute2,linux-image-arm64
  kernel=$(ls "$ROOT/usr/lib/modules")
  cp "$ROOT"/boot/vmlinuz-* "$ROOT.vmlinuz"
  modules=$ROOT/usr/lib/modules/$kernel/kernel
  find "$modules" -mindepth 1 -maxdepth 1 ! -name drivers ! -name lib -exec rm -rf {} +
  find "$modules/drivers" -mindepth 1 -maxdepth 1 ! -name media -exec rm -rf {} +
  /sbin/depmod -b "$ROOT" "$kernel" 2>/dev/null
  rm -rf "$ROOT"/boot/* "$ROOT/initrd.img" "$ROOT/vmlinuz"
  mkdir -p "$ROOT/proc" "$ROOT/sys" "$ROOT/dev" "$ROOT/run" "$ROOT/tmp"
  touch "$ROOT.complete"
}

build
"$PYTHON" systemd/deb.py "$LAB/deb" --release trixie --machine aarch64
rm -rf "$ROOT/usr/lib/lookout"
dpkg-deb -x "$LAB"/deb/lookout_*~trixie_arm64.deb "$ROOT"
install -m 755 "$HERE/tests/system/vm-init.sh" "$ROOT/init"
(cd "$ROOT" && find . -print0 | cpio --null -o -H newc --quiet) > "$ROOT.cpio"
# loglevel: vivid complains of the slow machine, a line a frame
timeout 900 qemu-system-aarch64 -M virt -cpu cortex-a72 -smp 2 -m 4096 -accel tcg,thread=multi -nodefaults -no-reboot \
  -display none -serial stdio -kernel "$ROOT.vmlinuz" -initrd "$ROOT.cpio" \
  -append "console=ttyAMA0 rdinit=/init panic=1 quiet loglevel=1" < /dev/null | tee "$LAB/vm.log"
grep -q '^RESULT pass' "$LAB/vm.log"
