"""An installation killed at its n-th step, for every n. Runs in a process of its own: it forks and hooks the system.

A step is a call that touches a file below `home`, or an fsync.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from agent import modelfile
from agent.device.updates import Store

_WATCHED = ("open", "os.", "shutil.", "tempfile.")
_steps = _last = 0


def step() -> None:
    """One step further; the last one is not survived."""
    global _steps
    _steps += 1
    if _steps == _last:
        os._exit(9)


def at_every_step(
    pristine: Path,
    home: Path,
    take: Callable[[Store], object],
    running: Callable[[Store], object],
    again: Callable[[Store], object],
) -> None:
    """Prints [exit code of the last round, [[what runs after a kill, what runs once it is done `again`], ...]]."""
    outcomes: list[list[object]] = []
    code = 9
    while code == 9:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(pristine, home)
        store = Store(home / "models")
        child = os.fork()
        if child == 0:
            _watch(home, len(outcomes) + 1)
            take(store)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        left = running(store)
        chosen = store.path(store.state.chosen)
        assert chosen
        modelfile.read(chosen)
        again(store)
        outcomes.append([left, running(store)])
    print(json.dumps([code, outcomes]))


def _watch(home: Path, last: int) -> None:
    global _last, _steps
    _last, _steps, sync = last, 0, os.fsync

    def watched_sync(fd: int) -> None:
        step()
        sync(fd)

    os.fsync = watched_sync  # type: ignore[assignment]

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_WATCHED) and arguments and str(home) in str(arguments[0]):
            step()

    sys.addaudithook(audit)
