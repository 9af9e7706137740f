"""TFLite on a Coral Edge TPU, USB or PCIe, by libedgetpu; and what is done when the accelerator is lost.

A library that crashes takes its process along, so every opening is tried in a child process first. An inference
that fails climbs this ladder, each step logged and visible in `runs_on`:

    opened anew ──fails──▶ USB reset, opened anew ──fails──▶ <name>.tflite on the CPU
                                                              ╰── every minute: is it back? ──▶ edgetpu

<name>_edgetpu.tflite is what Coral's compiler writes; <name>.tflite, the model it came from, does the CPU's part. The
config may name either.
An inference that hangs is not seen here: systemd's watchdog ends the process, and the next start tries anew.
No Coral was at hand when this was written; its tests use a delegate of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from agent.data import Array
from agent.detect.backends import tflite
from agent.modelfile import ModelError

log = logging.getLogger(__name__)
LIBRARY = os.environ.get("LOOKOUT_EDGETPU", "libedgetpu.so.1")  # a path, for a library of one's own
MARK = b"edgetpu-custom-op"  # the operator that Coral's compiler puts in place of what the accelerator does
_USB = {("1a6e", "089a"), ("18d1", "9302")}  # vendor, product: as plugged in, and with its firmware
_SYS, _DEV = Path("/sys"), Path("/dev")
_PROBE_S = 10.0  # two of them and the CPU model must fit into systemd's WatchdogSec
_RETRY_S = 60.0
_USBDEVFS_RESET = 0x5514  # _IO('U', 20), linux/usbdevice_fs.h


class Backend:
    """One model on the first accelerator that works, or on the CPU until one does."""

    def __init__(self, path: Path, threads: int) -> None:
        self._path, self.threads = _compiled(path), threads
        self._cpu_path = path.with_name(path.name.replace("_edgetpu", ""))
        self._probe: subprocess.Popen[str] | None = None
        self._probed = time.monotonic()
        self.runs_on, self._runner = self._first_that_works()
        self.inputs, self.outputs = self._runner.inputs, self._runner.outputs

    @property
    def input(self) -> Array:
        """View (1, h, w, 3) of the input tensor; drop it before `run`."""
        return self._runner.input

    def run(self) -> list[Array]:
        """One inference; views of the outputs, still quantised. Raises ModelError once nothing is left to try."""
        if not self.runs_on.startswith("edgetpu"):
            self._come_back()
        try:
            return self._runner.run()
        except RuntimeError as error:
            fed = np.array(self._runner.input)
            self._recover(_reason(error))
            self._runner.input[:] = fed
            return self._runner.run()

    def use(self, threads: int) -> None:
        """Of the CPU where it stands in; an accelerator does not ask for them."""
        if not self.runs_on.startswith("edgetpu"):
            self._runner.use(threads)
        self.threads = threads

    def float_tensors(self) -> list[str]:
        """Names of the tensors that hold floats."""
        return self._runner.float_tensors()

    def _first_that_works(self, given_up: dict[str, str] | None = None) -> tuple[str, tflite.Backend]:
        """Where it runs, and what runs it; devices that were given up, and why, are not tried."""
        given_up = given_up or {}
        reasons = [f"{device}: {why}" for device, why in given_up.items()]
        for device in find_devices(_SYS):
            if device in given_up:
                continue
            try:
                probe(self._path, device)
                return f"edgetpu {device}", _open(self._path, device)
            except (ModelError, OSError, ValueError, RuntimeError) as error:
                reasons.append(f"{device}: {_reason(error)}")
        why = "; ".join(reasons) or "no Coral is plugged in"
        if not self._cpu_path.is_file() or self._cpu_path == self._path:
            raise ModelError(
                f"model {self._path}: no Edge TPU ({why}), and no {self._cpu_path.name} for the CPU beside it"
            )
        log.warning("model %s: no Edge TPU (%s); %s runs on the CPU, slower", self._path.name, why, self._cpu_path.name)
        return f"cpu (edgetpu lost: {why})", self._fitting(tflite.Backend(self._cpu_path, self.threads))

    def _recover(self, reason: str) -> None:
        """The ladder. The old interpreter goes first: an accelerator can be opened only once."""
        if not self.runs_on.startswith("edgetpu"):
            raise ModelError(f"model {self._cpu_path}: inference fails on the CPU too: {reason}")
        device = self.runs_on.removeprefix("edgetpu ")
        log.error("edgetpu %s: inference failed (%s); opening it anew", device, reason)
        del self._runner
        for reset in (False, True):
            if reset and not _reset(device):
                break
            with contextlib.suppress(ModelError, OSError, ValueError, RuntimeError):
                probe(self._path, device)
                self._runner = self._fitting(_open(self._path, device))
                log.warning("edgetpu %s: works again%s", device, " after a reset" if reset else "")
                return
        self.runs_on, self._runner = self._first_that_works({device: reason})
        self._fitting(self._runner)
        self._probed = time.monotonic()

    def _come_back(self) -> None:
        """Once a minute a child asks whether an accelerator works; nothing here waits for it."""
        if self._probe is None:
            if time.monotonic() - self._probed > _RETRY_S and (devices := find_devices(_SYS)):
                self._probed, self._device = time.monotonic(), devices[0]
                self._probe = _start(self._path, self._device)
            return
        if self._probe.poll() is None and time.monotonic() - self._probed <= _PROBE_S:
            return
        child, self._probe = self._probe, None
        with contextlib.suppress(ModelError, OSError, ValueError, RuntimeError):
            _finish(child, 0)
            fed, runner = np.array(self._runner.input), self._fitting(_open(self._path, self._device))
            runner.input[:] = fed
            self._runner, self.runs_on = runner, f"edgetpu {self._device}"
            log.warning("edgetpu %s: is back", self._device)

    def _fitting(self, runner: tflite.Backend) -> tflite.Backend:
        """Both files must take and give the same tensors, or the head would read rubbish."""
        if hasattr(self, "inputs"):
            before, now = (
                [(t.shape, t.dtype, t.scale, t.zero_point) for t in (*side.inputs, *side.outputs)]
                for side in (self, runner)
            )
            if before != now:
                raise ModelError(f"model {self._cpu_path}: its tensors are not those of {self._path.name}")
        return runner


def _compiled(path: Path) -> Path:
    """The file that the accelerator takes: this one, or what the compiler made of it, beside it."""
    for file in (path, path.with_name(f"{path.stem}_edgetpu.tflite")):
        if file.is_file() and MARK in file.read_bytes():
            return file
    raise ModelError(
        f'model {path}: not compiled for the Edge TPU; `edgetpu_compiler {path.name}` first, or backend = "tflite"'
    )


def find_devices(sys_root: Path = Path("/sys")) -> list[str]:
    """Accelerators by libedgetpu's names, PCIe first: ["pci:0", "usb:0", "usb:1"]."""
    found = [f"pci:{n}" for n, _ in enumerate((sys_root / "class" / "apex").glob("apex_*"))]
    return found + [f"usb:{n}" for n, _ in enumerate(_usb_nodes(sys_root))]


def probe(path: Path, device: str) -> float:
    """One inference in a child process: its ms. Raises ModelError: failed, crashed or hung, and how."""
    return _finish(_start(path, device), _PROBE_S)


def _start(path: Path, device: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", __name__, str(path), device, LIBRARY]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603


def _finish(child: subprocess.Popen[str], timeout_s: float) -> float:
    try:
        out, err = child.communicate(timeout=timeout_s or 0.1)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        raise ModelError(f"no answer within {_PROBE_S:g} s") from None
    if child.returncode < 0:
        raise ModelError(f"{LIBRARY} crashed ({signal.Signals(-child.returncode).name})")
    if child.returncode:
        raise ModelError((err.strip().splitlines() or ["failed without a word"])[-1])
    return float(json.loads(out.splitlines()[-1])["ms"])


def _open(path: Path, device: str) -> tflite.Backend:
    """Raises OSError: no library; ValueError: it finds no accelerator; ModelError: not for this model."""
    runtime = tflite.find_runtime()
    load = getattr(runtime, "load_delegate", None) or runtime.experimental.load_delegate
    return tflite.Backend(path, 1, delegates=[load(LIBRARY, {"device": device})])


def _usb_nodes(sys_root: Path) -> list[Path]:
    """Device nodes of the USB accelerators, in the order of their ports."""
    nodes = []
    for entry in sorted((sys_root / "bus" / "usb" / "devices").glob("*")):
        with contextlib.suppress(OSError):
            if tuple((entry / name).read_text().strip() for name in ("idVendor", "idProduct")) in _USB:
                bus, number = (int((entry / name).read_text()) for name in ("busnum", "devnum"))
                nodes.append(_DEV / "bus" / "usb" / f"{bus:03d}" / f"{number:03d}")
    return nodes


def _reset(device: str) -> bool:
    """Reset a USB accelerator, as if plugged in anew; False where that cannot be done (PCIe, gone, forbidden)."""
    kind, _, index = device.partition(":")
    nodes = _usb_nodes(_SYS)
    if kind != "usb" or int(index) >= len(nodes):
        log.warning("edgetpu %s: cannot be reset from here", device)
        return False
    try:
        with nodes[int(index)].open("wb", buffering=0) as node:
            fcntl.ioctl(node, _USBDEVFS_RESET, 0)
    except OSError as error:
        log.warning("edgetpu %s: reset failed: %s", device, error.strerror)
        return False
    log.warning("edgetpu %s: reset", device)
    return True


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _probe_here(path: str, device: str, library: str) -> None:
    """The child: what crashes here crashes alone."""
    global LIBRARY  # noqa: PLW0603
    LIBRARY = library
    runner = _open(Path(path), device)
    begin = time.perf_counter()
    runner.run()
    sys.stdout.write(json.dumps({"ms": (time.perf_counter() - begin) * 1e3}) + "\n")


if __name__ == "__main__":
    try:
        _probe_here(*sys.argv[1:4])
    except (ModelError, OSError, ValueError, RuntimeError) as problem:
        sys.exit(_reason(problem))
