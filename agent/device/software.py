"""Versions that do not go together: Python, NumPy, the TFLite runtime, libcamera with picamera2, libedgetpu.

A library that may crash is loaded in a child process, where it crashes alone.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agent.data import LookoutError
from agent.detect.backends import edgetpu, tflite
from agent.device.doctor import Finding, parted

_CHILD_S = 60.0
_CAMERA_STACK = """
import libcamera, picamera2
from importlib.metadata import version
print("picamera2", version("picamera2"), "with libcamera", libcamera.CameraManager.singleton().version)
"""
_EDGETPU = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.edgetpu_version.restype = ctypes.c_char_p
print(library.edgetpu_version().decode())
"""


class Said(NamedTuple):
    """How a child process ended."""

    answer: str  # the last line that it printed
    error: str  # the last line that it complained about; "" if it went well


def python() -> Iterator[Finding]:
    """The interpreter, and the runtime with its NumPy."""
    yield Finding("python", "good", f"{platform.python_version()} on {platform.machine()}")
    if platform.machine().startswith("armv"):
        yield Finding("python", "poor", "a 32-bit system is best effort", "install the 64-bit Raspberry Pi OS")
    try:
        yield Finding("runtime", "good", f"{_runtime()} with NumPy {np.__version__}")
    except LookoutError as error:
        yield Finding("runtime", "broken", *parted(str(error)))


def picamera2(said: Said | None = None) -> Finding:
    """Whether picamera2 can be imported, and which libcamera it stands on; or what keeps it out, and the cure."""
    answer, error = said or in_child(_CAMERA_STACK)
    if not error:
        return Finding("picamera2", "good", answer)
    if "dtype size changed" in error or "compiled using NumPy 1" in error:
        return Finding(
            "picamera2", "broken", f"is compiled for NumPy 1, {np.__version__} is here", "pip install 'numpy<2'"
        )
    if "libcamera._libcamera" in error:
        text = f"libcamera is built for another Python than {platform.python_version()}"
        return Finding("picamera2", "broken", text, "make the venv anew with the system's own: /usr/bin/python3")
    if "'libcamera' has no attribute" in error:
        cure = "take both from apt: pip uninstall picamera2; sudo apt install python3-picamera2 python3-libcamera"
        return Finding("picamera2", "broken", f"does not fit this libcamera: {error}", cure)
    if sys.prefix != sys.base_prefix and not _sees_system_packages():
        cure = "make the venv anew: python3 -m venv --system-site-packages"
        return Finding("picamera2", "broken", "this venv does not see the system's packages", cure)
    return Finding("picamera2", "broken", f"cannot be imported: {error}", "sudo apt install python3-picamera2")


def coral(wanted: bool, sys_root: Path = Path("/sys")) -> Iterator[Finding]:
    """libedgetpu and the accelerators; nothing where there is none and the config does not want one.

    Whether library and runtime really go together, only an inference shows: that is the finding "model".
    """
    devices = edgetpu.find_devices(sys_root)
    if not (wanted or devices):
        return
    if not devices:
        yield Finding(
            "coral", "broken", "no accelerator is plugged in", "see the cable, and `lsusb` or `ls /dev/apex_*`"
        )
    elif not wanted:
        text = f"{', '.join(devices)} plugged in and not used"
        yield Finding("coral", "good", text, 'backend = "edgetpu" in [model] uses it')
    answer, error = in_child(_EDGETPU, edgetpu.LIBRARY)
    if not error:
        yield Finding("libedgetpu", "good", f"{answer}, for {_runtime()}")
    elif wanted:
        cure = "no distribution has it: take a build of libedgetpu that fits this runtime, or build it"
        yield Finding("libedgetpu", "broken", f"{edgetpu.LIBRARY}: {error}", cure)


def in_child(code: str, *arguments: str) -> Said:
    """Run a piece of Python in a process of its own."""
    command = [sys.executable, "-c", code, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_CHILD_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return Said("", f"no end within {_CHILD_S:g} s")
    answer = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode < 0:
        return Said(answer, f"crashed (signal {-done.returncode})")
    complaint = (done.stderr.strip().splitlines() or ["failed without a word"])[-1]
    return Said(answer, complaint if done.returncode else "")


def _runtime() -> str:
    """Raises ModelError where there is none, or one that does not fit."""
    package: str = tflite.find_runtime().__name__.split(".")[0]
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return package


def _sees_system_packages() -> bool:
    settings = Path(sys.prefix) / "pyvenv.cfg"
    return "include-system-site-packages = true" in (settings.read_text() if settings.exists() else "")
