"""Other people's code in a child: limits of time, memory and file size, no network, last words kept.

    run(["onnx2tf", "-i", "cut.onnx"], work, what="model best.onnx", tool="onnx2tf")

The child starts in `work`, which is also its home and temporary folder, in a session and a network of its own (Linux,
where the kernel allows user namespaces; elsewhere the log says that it was not cut off), and dies with its parent.
Whatever ends it badly becomes one ConvertError of one line; all that it printed is kept in a log file named there.

A child of our own that refuses somebody's file says why by `refuse`, and its parent raises just that.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convert import ConvertError

log = logging.getLogger(__name__)
_REFUSED = "refused.txt"  # in the work folder: a line of our own child, to be raised as it stands
_REFUSAL = 3  # exit code that goes with it
_TICK = 10.0  # s between lines that say it is still at work
_POLL = 0.05  # s
_STARVED = ("MemoryError", "bad_alloc", "Cannot allocate memory", "Unable to allocate")  # last words for want of memory
_KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")  # of our environment; tokens and keys stay here
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0",
    "PYTHONDONTWRITEBYTECODE": "1", "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "PYTHONUNBUFFERED": "1",
}  # fmt: skip

# Runs before the tool, in its process: limits, then exec. Constants: linux/sched.h, sys/prctl.h.
_LAUNCHER = """
import ctypes, json, os, resource, signal, sys
limits = json.loads(sys.argv[1])
def limit(kind, value):
    soft, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
if sys.platform == "linux":
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGKILL)                          # PR_SET_PDEATHSIG
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(0x50000000):                           # CLONE_NEWUSER | CLONE_NEWNET
        print("sandbox: the network stays open to this child:", os.strerror(ctypes.get_errno()), flush=True)
    else:
        try:
            for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open("/proc/self/" + name, "w") as file:
                    file.write(text)
        except OSError as error:
            print("sandbox: no user of its own:", error, flush=True)
else:
    print("sandbox: the network stays open to this child on", sys.platform, flush=True)
limit(resource.RLIMIT_DATA, limits["memory"])
limit(resource.RLIMIT_FSIZE, limits["file"])
limit(resource.RLIMIT_CORE, 0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use."""

    seconds: float = 900.0  # of wall time
    memory: int = 4 << 30  # bytes of private memory a process
    file: int = 2 << 30  # bytes of any one file


def run(
    command: Sequence[str],
    work: Path,
    *,
    what: str,
    tool: str,
    limits: Limits | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command in `work` and wait for it; what it printed. `what` it works on and `tool` open the error's line.

    Raises ConvertError: its own refusal, or one line on how it ended and the log file that has its last words.
    """
    limits = limits or Limits()
    journal = work / "log.txt"
    here = {"HOME": str(work), "TMPDIR": str(work), "XDG_CACHE_HOME": str(work / ".cache")}
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, json.dumps(asdict(limits)), *map(str, command)]
    try:
        process = _started(launcher, work, journal, kept | here | _QUIET | dict(env or {}))
    except OSError as error:
        raise ConvertError(f"{what}: {tool} does not start here: {error.strerror}") from error
    try:
        in_time = _wait(process, limits.seconds, tool)
    finally:
        _end(process)
    said = journal.read_text("utf-8", "replace")
    if process.returncode == _REFUSAL and (work / _REFUSED).exists():
        raise ConvertError(f"{what}: {(work / _REFUSED).read_text('utf-8', 'replace').strip()[:600]}")
    if process.returncode or not in_time:
        raise ConvertError(f"{what}: {tool} {_verdict(process.returncode, in_time, limits, said)}; {_keep(journal)}")
    return said


def python(executable: Path, module: str, work: Path, *, what: str, tool: str, limits: Limits | None = None) -> str:
    """Run `python -m MODULE WORK`, a module of this package, in some environment's Python. Raises as `run` does."""
    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    return run([str(executable), "-m", module, str(work)], work, what=what, tool=tool, limits=limits, env=env)


def child(job: Callable[[Path], None]) -> None:
    """The other side of `python`: do a job in the folder named on the command line; its ConvertError is the refusal."""
    work = Path(sys.argv[1])
    try:
        job(work)
    except ConvertError as error:
        (work / _REFUSED).write_text(str(error), "utf-8")
        sys.exit(_REFUSAL)


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder for one job, gone afterwards however it ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"lookout-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(command: list[str], work: Path, journal: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process in a session of its own, so that all it starts can be ended with it."""
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    with journal.open("wb") as output:
        return subprocess.Popen(  # noqa: S603
            command, cwd=work, env=env, stdout=output, start_new_session=True, **streams
        )


def _wait(process: subprocess.Popen[bytes], seconds: float, tool: str) -> bool:
    """Whether it ended by itself in time; a line now and then for who watches."""
    started = told = time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        if now - started > seconds:
            return False
        if now - told > _TICK:
            log.info("           %s: %.0f s", tool, now - started)
            told = now
        time.sleep(_POLL)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and what it started, now; after Ctrl-C too."""
    with suppress(ProcessLookupError, PermissionError):  # nothing of it is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _verdict(code: int, in_time: bool, limits: Limits, said: str) -> str:
    """How it ended, in words."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("sandbox: ")]
    last = lines[-1][:300] if lines else "it said nothing"
    if not in_time:
        return f"was stopped after {limits.seconds:g} s, the limit"
    if code == -signal.SIGXFSZ or "File too large" in last:
        return f"was stopped: it wrote a file of more than {limits.file / 2**20:,.0f} MB, the limit"
    if any(
        word in said[-4000:] for word in ("MemoryError", "bad_alloc", "Cannot allocate memory", "Unable to allocate")
    ):
        return f"was stopped: it wanted more than {limits.memory / 2**20:,.0f} MB of memory, the limit"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}: {last}"
    return f"failed with exit code {code}: {last}"


def _keep(journal: Path) -> str:
    """The log in a place that outlives the work folder; where, in words."""
    try:
        handle, kept = tempfile.mkstemp(prefix="lookout-", suffix=".log")
        with os.fdopen(handle, "wb") as file:
            file.write(journal.read_bytes())
    except OSError as error:
        return f"its log could not be kept: {error.strerror}"
    return f"all it said is in {kept}"
