"""A config that is only half written when a reload comes: refused, and taken over once it is whole."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Row


def test_text_that_is_half_written_is_refused_until_it_is_whole(
    start: Callable[..., Running], row: Callable[..., Row]
) -> None:
    told = row("config half written", "SIGHUP in the middle of it", "refused until it is whole")
    agent = start(YARD)
    agent.write(YARD[:20])
    agent.process.signal(signal.SIGHUP)
    agent.wait(lambda: agent.events("config_rejected"), "the event")
    with told.recovery():
        agent.write(YARD + "fps = 2\n")
        agent.process.signal(signal.SIGHUP)
        agent.wait(lambda: agent.events("config_changed"), "the whole one taken over")
    agent.frames()
    told.seen = "refused, then taken over; frames went on"
