"""Little memory: 150 MB are enough; with too little it is ended, which is told, and starts where there is more."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.agent import YARD, Running
from tests.fakes.mosquitto import until
from tests.faults.conftest import Row, full

JOIN = (
    "open({!r}, 'w').write(str(__import__('os').getpid())); from agent.__main__ import main; raise SystemExit(main())"
)
PLACES = (  # of cgroups' first and second version: the parent, the file of the limit
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)


class Group:
    """A memory cgroup; what is written there counts, swap does not help."""

    def __init__(self, folder: Path, limit: str) -> None:
        self.procs, self._limit = folder / "cgroup.procs", folder / limit

    def limit(self, mb: int) -> None:
        self._limit.write_text(str(mb << 20))


@pytest.fixture
def group() -> Iterator[Group]:
    for parent, limit in PLACES:
        folder = parent / f"lookout-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / limit).exists():
            yield Group(folder, limit)
            until(lambda folder=folder: not (folder / "cgroup.procs").read_text(), "its processes to end")
            folder.rmdir()
            return
        folder.rmdir()
    pytest.skip("may not make a memory cgroup here")


@full
def test_it_runs_in_150_mb_and_in_60_it_is_told_offline(
    group: Group, start: Callable[..., Running], row: Callable[..., Row]
) -> None:
    told = row("memory limit 150 MB", "cgroup of 150 MB; then 60 MB", "runs in 150; ended and told below, starts again")
    group.limit(150)
    agent = start(YARD, "-c", JOIN.format(str(group.procs)))
    agent.frames()
    agent.wait(lambda: len(agent.of("health")) > 2, "some time in it")
    used = agent.process.rss_mb
    agent.process.stop(signal.SIGTERM)
    group.limit(60)
    agent.process.start()
    assert agent.process.ended(60) == -signal.SIGKILL  # by the kernel, which says why in its own log
    until(lambda: agent.of("status")[-1] == b"offline", "told offline")
    group.limit(150)
    births = agent.of("status").count(b"online")
    with told.recovery():
        agent.process.start()
        agent.wait(lambda: agent.of("status").count(b"online") > births, "the next birth")
        agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera")
    told.seen = (
        f"runs in 150 MB ({used:.0f} MB resident); in 60 the kernel ends it, systemd's part is to start it again"
    )
