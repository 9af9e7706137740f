"""A model that nobody vouches for, run once in a process apart: what it does to the runtime, it does there.

A file that is sound (soundness.py) may still want more memory than there is, hang, or hit a fault of a kernel. The
child takes the blow, and the agent ends with one line. Files with their maker's contract, whose checksum is right,
are run as they are: whoever converted them has run them already.
"""

from __future__ import annotations

import functools
import resource
import signal
import subprocess
import sys
from pathlib import Path

from agent.detect.backends import tflite
from agent.modelfile import ModelError

_SECONDS = 60.0
_MEMORY = 2 << 30  # bytes of address space of the child


@functools.cache
def once(path: Path, sha256: str) -> None:  # noqa: ARG001  it tells one file from another at the same place
    """Run a file in a child, unless these bytes came through that before. Raises ModelError: how it ended."""
    try:
        child(__name__, path, _SECONDS)
    except ModelError as error:
        raise ModelError(f"model {path}: its first run, in a process of its own, {error}; it is not taken") from error


def child(module: str, path: Path, seconds: float) -> str:
    """What `python -m MODULE PATH` prints. Raises ModelError: crashed, hung or failed, to be read after a subject."""
    command = [sys.executable, "-m", module, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise ModelError(f"took more than {seconds:.0f} s") from None
    if done.returncode < 0:
        raise ModelError(f"crashed ({signal.Signals(-done.returncode).name})")
    if done.returncode:
        raise ModelError(f"failed: {(done.stderr.strip().splitlines() or ['no word why'])[-1]}")
    return done.stdout


def confine(seconds: float) -> None:
    """Limits for this process, which is such a child."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    confine(_SECONDS)
    try:
        tflite.Backend(Path(sys.argv[1]), 1).run()
    except (ModelError, RuntimeError, ValueError, MemoryError) as problem:
        sys.exit(" ".join(str(problem).split()) or type(problem).__name__)
