"""kill -9 of the agent's publisher, of the broker, of both, at random moments under load: nothing accepted is lost.

mosquitto acknowledges a message before it saves it: killed in between, it may lose what the subscriber's socket has
not taken. The test tells those apart, by what the broker had acknowledged, from what the agent would have lost.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.mosquitto import Broker, Listener, until
from tests.faults.conftest import FULL, Process

KILLS = 210 if FULL else 6
RATE = 300.0  # events a second while the feeder lives


def test_no_accepted_event_is_lost_repeated_or_out_of_order(tmp_path: Path, consumer: Any) -> None:
    dice = random.Random(7)
    broker = Broker(tmp_path, durable=True).start()
    listener = Listener(broker.port, "lookout/pi/yard/events", "lookout/pi/events", client_id="consumer")
    feeder = Process(tmp_path / "feeder.log", "-m", "tests.faults.feeder", str(broker.port), str(tmp_path), str(RATE))
    feeder.start()
    until(lambda: listener.messages, "the first event")
    for _ in range(KILLS):
        if dice.random() < 0.8:  # else it may die while it is still starting
            before = len(listener.messages)
            until(lambda n=before: len(listener.messages) > n, "events to flow again")
        time.sleep(dice.uniform(0.05, 1.0))
        whom = dice.choice(["feeder", "broker", "both"])
        if whom != "broker":
            assert feeder.alive(), feeder.log()
            feeder.stop()
        if whom != "feeder":
            broker.kill()
            time.sleep(dice.uniform(0, 0.4))
            broker.start()
        if whom != "broker":
            feeder.start()
    time.sleep(1.0)
    feeder.stop()
    feeder = Process(
        tmp_path / "feeder.log", "-m", "tests.faults.feeder", str(broker.port), str(tmp_path), "0.01"
    ).start()
    accepted = (tmp_path / "accepted").read_text().split()
    last = accepted[-1].encode()
    until(lambda: any(last in payload for _, payload, _ in list(listener.messages)), "the last accepted event", 120)
    feeder.stop()
    listener.close()
    broker.kill()
    acked = set((tmp_path / "acked").read_text().split())
    check(accepted, acked, [payload for _, payload, _ in listener.messages], consumer)


def check(accepted: list[str], acked: set[str], payloads: list[bytes], consumer: Any) -> None:
    taken = [consumer.take(payload) for payload in payloads]
    events = [event for event, _ in taken if event]
    ids = [event["id"] for event in events]
    seqs = [event["seq"] for event in events]
    lost = set(accepted) - set(ids)
    missing = sum(count for _, count in taken)
    print(
        f"\n{KILLS} kills: {len(accepted)} accepted, {len(lost - acked)} lost by the agent, {len(lost & acked)} by the"
        f" broker after its acknowledgement, {len(payloads) - len(events)} deliveries repeated,"
        f" {len(ids) - len(set(ids))} after the consumer"
    )
    assert not lost - acked
    assert missing <= len(lost)
    assert len(lost) <= len(accepted) // 1000, "more than a broker loses in an instant"
    assert len(ids) == len(set(ids))
    assert seqs == sorted(set(seqs))


@pytest.fixture(autouse=True)
def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """The figures go to the terminal even when the test passes."""
    yield
    with capsys.disabled():
        print(capsys.readouterr().out, end="")
