"""A Python for each front end: this one where it has the tool, one that the user names, or one made once.

Front ends pin each other's dependencies away, so the tools live in environments of their own, under the user's cache:

    tensorflow   this Python, if TensorFlow is in it; else ~/.cache/lookout/tensorflow-2.21.0
    onnx2tf      ~/.cache/lookout/onnx2tf-2.6.9, on any Python from 3.12 that is found here; else onnx2tf-1.29.24
    ultralytics  the user's own, and never made here: it is AGPL-3.0

LOOKOUT_TENSORFLOW, LOOKOUT_ONNX2TF and LOOKOUT_ULTRALYTICS name a Python executable to take instead.
"""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from convert import ConvertError

log = logging.getLogger(__name__)
_PROBE = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
_STAMP = "ready"  # in a finished environment; without it, a leftover
_TICK = 5.0  # s between lines while packages are fetched


@dataclass(frozen=True, slots=True)
class Recipe:
    """An environment that can be made."""

    name: str  # of its folder
    requirements: tuple[str, ...]
    least: tuple[int, int]  # Python versions that its packages come for
    most: tuple[int, int]
    size: str  # roughly, on disk


_CHILD = ("msgspec>=0.19", "numpy>=1.24")  # what our own modules import in the child
TENSORFLOW = Recipe(
    "tensorflow-2.21.0",
    ("tensorflow==2.21.0" if sys.platform == "darwin" else "tensorflow-cpu==2.21.0", *_CHILD),
    (3, 10),
    (3, 13),
    "2 GB",
)
ONNX2TF = Recipe("onnx2tf-2.6.9", ("onnx2tf==2.6.9", *_CHILD), (3, 12), (3, 14), "700 MB")
ONNX2TF_OLD = Recipe(  # the last that runs on 3.11; it converts through TensorFlow
    "onnx2tf-1.29.24",
    (
        "onnx2tf==1.29.24", "tensorflow==2.19.0", "tf_keras==2.19.0", "onnx==1.19.1", "numpy==1.26.4",
        "onnxruntime", "onnxsim", "onnx_graphsurgeon", "sng4onnx", "sne4onnx", "psutil", "ai-edge-litert",
        "msgspec>=0.19",
    ),
    (3, 10),
    (3, 11),
    "2.6 GB",
)  # fmt: skip


def tensorflow() -> Path:
    """A Python with TensorFlow. Raises ConvertError where there is none and none can be made."""
    here = Path(sys.executable) if importlib.util.find_spec("tensorflow") else None
    return _named("TENSORFLOW") or here or made(TENSORFLOW)


def onnx2tf() -> Path:
    """A Python with onnx2tf: 2.6 on Python >= 3.12, else 1.29. Raises ConvertError."""
    named = _named("ONNX2TF")
    if named:
        return named
    if is_made(ONNX2TF) or interpreter(ONNX2TF.least, ONNX2TF.most):
        return made(ONNX2TF)
    log.info("onnx2tf    no Python >= 3.12 here; taking the slower 1.29, which needs TensorFlow")
    return made(ONNX2TF_OLD)


def ultralytics() -> Path:
    """The user's own Python with Ultralytics in it. Raises ConvertError, saying how to go on without."""
    named = _named("ULTRALYTICS")
    if named:
        return named
    if importlib.util.find_spec("ultralytics"):
        return Path(sys.executable)
    program = shutil.which("yolo")
    beside = Path(program).parent / "python" if program else None
    if beside and beside.exists():
        return beside
    raise ConvertError(
        "Ultralytics is not installed here, and Lookout does not bring it (AGPL-3.0);"
        " set LOOKOUT_ULTRALYTICS to the Python that has it, or export there: yolo export model=FILE.pt format=onnx"
    )


def folder() -> Path:
    """Where environments are kept."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "lookout"


def is_made(recipe: Recipe) -> bool:
    """Whether an environment is there, and whole."""
    return (folder() / recipe.name / _STAMP).exists()


def made(recipe: Recipe) -> Path:
    """The Python of an environment, made first where it is not there. Raises ConvertError where it cannot be."""
    place = folder() / recipe.name
    python = place / "bin" / "python"
    if is_made(recipe):
        return python
    with _alone(place):
        if not is_made(recipe):
            _make(recipe, place, python)
    return python


def interpreter(least: tuple[int, int], most: tuple[int, int]) -> Path | None:
    """The first Python found here whose version lies in a range and that can make environments."""
    for path in _candidates(least, most):
        try:
            done = subprocess.run(  # noqa: S603
                [str(path), "-I", "-c", _PROBE], capture_output=True, text=True, check=False, timeout=30
            )
            version = tuple(map(int, done.stdout.split()))
        except (OSError, ValueError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and least <= version <= most:
            return path
    return None


def _candidates(least: tuple[int, int], most: tuple[int, int]) -> Iterator[Path]:
    """This Python, those on PATH, pyenv's, uv's."""
    yield Path(sys.executable)
    minors = [f"3.{minor}" for minor in range(least[1], most[1] + 1)]
    for minor in minors:
        found = shutil.which(f"python{minor}")
        if found:
            yield Path(found)
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    roots.append(Path.home() / ".local" / "share" / "uv" / "python")
    for root in roots:
        for minor in minors:
            yield from sorted(root.glob(f"*{minor}.*/bin/python3"))


def _make(recipe: Recipe, place: Path, python: Path) -> None:
    base = interpreter(recipe.least, recipe.most)
    if base is None:
        wanted = f"{'.'.join(map(str, recipe.least))} to {'.'.join(map(str, recipe.most))}"
        raise ConvertError(f"{recipe.name} needs Python {wanted}: none on PATH, in pyenv or in uv; install one")
    log.info("setting up %s in %s (once, %s)", recipe.name, place, recipe.size)
    shutil.rmtree(place, ignore_errors=True)
    journal = place.with_name(f"{recipe.name}.log")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    with journal.open("wb") as output:
        for command in ([str(base), "-m", "venv", str(place)], [*pip, *recipe.requirements]):
            code = _watched(command, output, recipe.name)
            if code:
                shutil.rmtree(place, ignore_errors=True)
                raise ConvertError(f"could not set up {recipe.name}: {_last(journal)}; all it said is in {journal}")
    (place / _STAMP).write_text("\n".join(recipe.requirements) + "\n")


def _watched(command: Sequence[str], output: object, name: str) -> int:
    """Exit code of a command; a line now and then for who watches."""
    started = told = time.monotonic()
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)  # type: ignore[call-overload]  # noqa: S603
    try:
        while process.poll() is None:
            if time.monotonic() - told > _TICK:
                told = time.monotonic()
                log.info("           %s: %.0f s", name, told - started)
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    return int(process.returncode)


def _last(journal: Path) -> str:
    lines = [line.strip() for line in journal.read_text("utf-8", "replace").splitlines()]
    errors = [line for line in lines if line.lower().startswith("error")] or [line for line in lines if line] or ["?"]
    return errors[-1][:300]


def _named(tool: str) -> Path | None:
    """What the user's variable names."""
    value = os.environ.get(f"LOOKOUT_{tool}", "")
    if not value:
        return None
    if not os.access(value, os.X_OK) or Path(value).is_dir():
        raise ConvertError(f"LOOKOUT_{tool}={value}: not a program; name a Python executable")
    return Path(value)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One at a time, over processes: a second converter waits for the first one's environment."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = place.with_name(f"{place.name}.lock").open("w")
    except OSError as error:
        raise ConvertError(f"cache folder {place.parent}: {error.strerror}; set XDG_CACHE_HOME") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
