"""A thousand SIGHUPs: a few reloads, not a thousand."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Row, full


@full
def test_many_are_few(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("signal storm", "SIGHUP x 1000 in 1 s", "coalesced")
    agent = start(YARD)
    for _ in range(1000):
        agent.process.signal(signal.SIGHUP)
        time.sleep(0.001)
    with told.recovery():
        agent.wait(lambda: agent.events("config_changed"), "a reload")
        assert agent.ask("reload")["ok"]  # behind all that wait
    reloads = len(agent.events("config_changed"))
    assert reloads < 100
    told.seen = f"{reloads} reloads"
