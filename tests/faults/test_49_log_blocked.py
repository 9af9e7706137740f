"""Nobody reads stderr, and the pipe is full: frames, commands and events go on, and it ends when told to."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Row
from tests.faults.test_31_outbox_damaged import events_come


def fill(pipe: int) -> None:
    """By a description of its own: who else writes to it still blocks."""
    ours = os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(ours, bytes(512))
    os.close(ours)


def test_nothing_waits_for_a_log_that_nobody_reads(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("log blocked", "stderr is a full pipe", "frames and commands go on; ends in time")
    agent = start(YARD)
    agent.process.stop(signal.SIGTERM)
    births = agent.of("status").count(b"online")
    reader, writer = os.pipe()
    agent.process.start(stderr=writer)
    agent.wait(lambda: agent.of("status").count(b"online") > births, "the birth")
    agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera")
    fill(writer)
    for n in range(3):
        agent.write(YARD + f"fps = {n + 1}\n")
        assert agent.ask("reload")["ok"]  # which is logged
    events_come(agent)
    agent.frames()
    with told.recovery():
        assert agent.process.stop(signal.SIGTERM) == 0
    os.close(reader)
    os.close(writer)
    told.seen = "looked, obeyed and ended with 0 while the pipe was full"
