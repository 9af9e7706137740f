"""The wall clock jumps a year ahead, an hour back, or was 1970 at boot: no time-out fires, stamps are right after."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

import pytest

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Harm, Row, full
from tests.faults.test_31_outbox_damaged import events_come

YEAR = 365 * 86400


def stamped(agent: Running) -> float:
    """Unix s of the newest event."""
    events_come(agent)
    return dt.datetime.fromisoformat(agent.events("command")[-1]["time"]).timestamp()


@full
@pytest.mark.parametrize("steps", [(YEAR, 0), (-3600, 0), (-int(time.time()), 0)], ids=["+1 y", "-1 h", "1970"])
def test_nothing_times_out(
    start: Callable[..., Running], harm: Harm, row: Callable[..., Row], steps: tuple[int, int]
) -> None:
    at_boot = steps[0] < -YEAR
    told = row(
        "boot in 1970" if at_boot else "clock steps",
        "the clock is set right later (LD_PRELOAD)" if at_boot else "+1 y, -1 h (LD_PRELOAD)",
        "nothing times out; right stamps after",
        number=37 if at_boot else 36,
    )
    if at_boot:
        harm(clock_s=steps[0])
    agent = start(YARD, environ=harm.environ)
    for clock_s in steps:
        harm(clock_s=clock_s)
        assert abs(stamped(agent) - time.time() - clock_s) < 10
        agent.frames()
    assert agent.of("status") == [b"online"], "the connection held"
    assert b"offline" not in agent.of("yard/status")[1:]
    assert "Traceback" not in agent.process.log()
    told.seen = "connection and camera held; the next event has the right time"
