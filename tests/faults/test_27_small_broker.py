"""A broker that takes small packets, one at a time: what fits comes in order, what does not is left out and told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.fakes.agent import YARD, Running
from tests.fakes.mosquitto import Broker
from tests.faults.conftest import Row, full

SMALL = "max_packet_size 8000\nmax_inflight_messages 1"


@full
def test_a_picture_that_is_too_large_holds_nothing_up(
    tmp_path: Path, start: Callable[..., Running], row: Callable[..., Row]
) -> None:
    told = row("small and slow broker", "packets of 8000 bytes, one in flight", "respected; the connection holds")
    agent = start(YARD, broker=Broker(tmp_path, SMALL))
    for _ in range(3):
        agent.ask("snapshot", camera="yard")
    agent.wait(lambda: len(agent.events("command")) == 3, "three events")
    seqs = [event["seq"] for event in agent.events("command")]
    assert seqs == sorted(seqs)
    assert agent.of("yard/snapshot") == []
    assert agent.of("status") == [b"online"], "never cut"
    told.seen = "3 events in order, 3 pictures left out, never cut"
