"""Commands by the thousand, of any bytes: refused with one word, bounded in memory, and the next good one is obeyed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import FULL, Row, full

SECONDS = 20.0 if FULL else 3.0


@full
def test_a_flood_costs_little_and_passes(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row(
        "command flood", f"{SECONDS:.0f} s of 16 KB garbage at full speed", "refused; memory bounded; obeys after"
    )
    agent = start(YARD)
    agent.frames()
    rss, dice, n = agent.process.rss_mb, random.Random(43), 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        agent.heard.client.publish("lookout/pi/command/set", dice.randbytes(16_000), qos=0)
        n += 1
        if n % 100 == 0:
            time.sleep(0.01)
    grown = agent.process.rss_mb - rss
    with told.recovery():
        time.sleep(1.5)
        agent.wait(lambda: agent.snapshot("yard"), "a command obeyed")
    refused = [event for event in agent.events("command") if not event["detail"]["ok"]]
    told.seen = f"{n} commands: {len(refused)} told as refused, {grown:+.0f} MB"
    assert len(refused) < 10 + SECONDS * 3
    assert grown < 60
