"""No file may be opened any more (EMFILE) when the broker comes back: told, tried again, and connected once it may."""

from __future__ import annotations

import resource
from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Row, full


@full
def test_it_is_tried_again(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("no more file descriptors", "RLIMIT_NOFILE below what is open", "told, tried again, recovers")
    agent = start(YARD)
    agent.frames()
    most = resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE)[0]
    agent.process.limit(resource.RLIMIT_NOFILE, 5)
    agent.broker.kill()
    agent.broker.start()
    agent.wait(lambda: "too many open files" in agent.process.log(), "the trouble told")
    births = agent.of("status").count(b"online")
    with told.recovery():
        agent.process.limit(resource.RLIMIT_NOFILE, most)
        agent.wait(lambda: agent.of("status").count(b"online") > births, "connected again")
    agent.frames()
    log = agent.process.log()
    assert "Traceback" not in log
    told.seen = f"{log.count('too many open files')} line(s) of it"
