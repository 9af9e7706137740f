"""A model that nobody here knows, run once in a process apart: what it does to the runtime, it does there.

A file that is sound (soundness.py) may still want more memory than there is, hang, or hit a fault of a kernel. The
child takes the blow, and the agent ends with one line. A card with the right checksum says that a file is whole, not
who made it: the agent has its own models run apart too, once for each and each runtime, and keeps the verdict in its
state folder. Shipped models and those that were tried as they were installed are known.
"""

from __future__ import annotations

import logging
import resource
import signal
import subprocess
import sys
from pathlib import Path

from agent import config, disk, modelfile
from agent.detect.backends import tflite
from agent.modelfile import ModelError

log = logging.getLogger(__name__)
_SECONDS = 60.0
_MEMORY = 2 << 30  # bytes of address space of the child
_KEPT = 64  # verdicts, the newest
_known: set[tuple[Path, str]] = set()  # what came through, and its sha256


def introduced(path: Path, state: Path) -> None:
    """Run a file of the agent's in a child, unless it is known or these bytes came through that in an earlier run.

    `state` is the agent's state_dir, whose models/ were tried as they came. Raises ModelError, as `once` does.
    """
    folders = (config.shipped(config.DEFAULT_MODEL).parent, state / "models")
    if any(path.resolve().is_relative_to(folder.resolve()) for folder in folders):
        return
    sha256, book = modelfile.read(path).sha256, state / "proved"
    try:
        before = book.read_text("utf-8", "replace").splitlines()
    except OSError:
        before = []
    if _verdict(sha256) in before:
        _known.add((path, sha256))
    once(path, sha256)
    if _verdict(sha256) not in before and state.is_dir():
        try:
            disk.replace(book, "".join(f"{line}\n" for line in [*before, _verdict(sha256)][-_KEPT:]).encode())
        except OSError as error:
            log.debug("%s: %s; the next start runs it apart again", book, error)


def once(path: Path, sha256: str) -> None:
    """Run a file in a child, unless these bytes came through that before. Raises ModelError: how it ended."""
    if (path, sha256) in _known:
        return
    try:
        child(__name__, path, _SECONDS)
    except ModelError as error:
        raise ModelError(f"model {path}: its first run, in a process of its own, {error}; it is not taken") from error
    _known.add((path, sha256))


def _verdict(sha256: str) -> str:
    """A line of the book. What one version of the runtime survives, the next may not."""
    runtime = tflite.find_runtime().__name__.partition(".")[0]
    return f"{sha256} {runtime} {getattr(sys.modules[runtime], '__version__', '')}".rstrip()


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
