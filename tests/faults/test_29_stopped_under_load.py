"""SIGTERM while frames pour in and the broker is frozen: it ends in time, and nothing in the outbox is lost."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

from tests.fakes.agent import Running
from tests.faults.conftest import Row, full

CAMERA = '[cameras.yard]\nkind = "synthetic"\nrate = 120.0\n'


@full
def test_it_ends_in_time_and_keeps_its_events(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("SIGTERM under load", "120 fps, broker SIGSTOPped", "ends within TimeoutStopSec=15; events kept")
    agent = start(CAMERA)
    agent.broker.freeze()
    agent.write(CAMERA + "fps = 60.0\n")
    agent.process.signal(signal.SIGHUP)  # makes an event
    agent.wait(lambda: "taken over" in agent.process.log(), "the reload")
    begin = time.monotonic()
    assert agent.process.stop(signal.SIGTERM) == 0
    told.seen = f"exit code 0 after {time.monotonic() - begin:.1f} s"
    assert time.monotonic() - begin < 15
    agent.broker.thaw()
    with told.recovery():
        agent.process.start()
        agent.wait(lambda: agent.events("config_changed"), "the event")
    seqs = [json.loads(payload)["seq"] for payload in agent.of("events")]
    assert seqs == sorted(seqs)
