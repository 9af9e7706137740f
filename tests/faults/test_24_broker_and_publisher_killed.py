"""kill -9 of the agent's publisher, of the broker, of both, at random moments under load: nothing accepted is lost.

mosquitto acknowledges a message before it saves it: killed in between, it may lose what the subscriber's socket has
not taken. The test tells those apart, by what the broker had acknowledged, from what the agent would have lost.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.agent import Process
from tests.fakes.mosquitto import Broker, Listener, until
from tests.faults.conftest import FULL, Row

SEEDS = (7, 8, 9) if FULL else (7,)
KILLS = 70 if FULL else 6  # a seed
RATE = 150.0  # events a second while the feeder lives


def kill_somebody(dice: random.Random, feeder: Process, broker: Broker, listener: Listener) -> None:
    """Feeder, broker or both, at a random moment; they are started again."""
    if dice.random() < 0.8:  # else it may die while it is still starting
        before = len(listener.messages)
        until(lambda: len(listener.messages) > before, "events to flow again")
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


@pytest.mark.parametrize("seed", SEEDS)
def test_no_accepted_event_is_lost_repeated_or_out_of_order(
    tmp_path: Path, consumer: Any, row: Callable[..., Row], seed: int
) -> None:
    told = row(
        "broker killed and back",
        f"{KILLS} kill -9 of it, of the publisher, of both, for each of several seeds",
        "no accepted event lost",
    )
    dice = random.Random(seed)
    broker = Broker(tmp_path, durable=True).start()
    listener = Listener(broker.port, "lookout/pi/yard/events", "lookout/pi/events", client_id="consumer")
    feeder = Process(tmp_path / "feeder.log", "-m", "tests.faults.feeder", str(broker.port), str(tmp_path), str(RATE))
    feeder.start()
    until(lambda: listener.messages, "the first event")
    for _ in range(KILLS):
        kill_somebody(dice, feeder, broker, listener)
    time.sleep(1.0)
    feeder.stop()
    before = len((tmp_path / "accepted").read_text().split())
    feeder = Process(
        tmp_path / "feeder.log", "-m", "tests.faults.feeder", str(broker.port), str(tmp_path), "0.01"
    ).start()  # one event of its own; order is kept, so that once it is here nothing before it is still to come
    until(lambda: len((tmp_path / "accepted").read_text().split()) > before, "the last feeder's event", 60)
    accepted = (tmp_path / "accepted").read_text().split()
    if not came(accepted[-1], listener, 60):
        pytest.fail(told_of_a_stall(accepted, before, listener, tmp_path))
    feeder.stop()
    listener.close()
    broker.kill()
    acked = set((tmp_path / "acked").read_text().split())
    told.seen = f"seed {seed}: " + check(accepted, acked, [payload for _, payload, _ in listener.messages], consumer)


def came(one: str, listener: Listener, timeout: float) -> bool:
    """Whether an event arrives; gives up when nothing at all has for `timeout` s.

    A broker that saves each message before the next takes some hundred a second on a good disk and fifty on a bad one:
    what has piled up by the end may take it minutes. Each message is looked at once: the listener's thread needs the
    time.
    """
    looked, deadline = 0, time.monotonic() + timeout
    while time.monotonic() < deadline:
        fresh = listener.messages[looked:]
        looked += len(fresh)
        if any(one.encode() in payload for _, payload, _ in fresh):
            return True
        if fresh:
            deadline = time.monotonic() + timeout
        time.sleep(0.05)
    return False


def told_of_a_stall(accepted: list[str], before: int, listener: Listener, folder: Path) -> str:
    """What is known when the last event does not come: on whose side it hangs."""
    acked = set((folder / "acked").read_text().split())
    return (
        f"the last event is not delivered: acknowledged {accepted[-1] in acked}, the one before the last start"
        f" acknowledged {accepted[before - 1] in acked}, listener connected {listener.client.is_connected()},"
        f" {len(listener.messages)} deliveries; files in {folder}; {(folder / 'feeder.log').read_text()[-2000:]}"
    )


def check(accepted: list[str], acked: set[str], payloads: list[bytes], consumer: Any) -> str:
    """What came of it, in words."""
    taken = [consumer.take(payload) for payload in payloads]
    events = [event for event, _ in taken if event]
    ids = [event["id"] for event in events]
    seqs = [event["seq"] for event in events]
    lost = set(accepted) - set(ids)
    missing = sum(count for _, count in taken)
    seen = (
        f"{len(accepted)} accepted, {len(lost - acked)} lost by the agent, {len(lost & acked)} by the broker after its"
        f" acknowledgement, {len(payloads) - len(events)} repeated, {len(ids) - len(set(ids))} after the consumer"
    )
    print(f"\n{KILLS} kills: {seen}")
    assert not lost - acked
    assert missing <= len(lost)
    assert len(lost) <= len(accepted) // 1000, "more than a broker loses in an instant"
    assert len(ids) == len(set(ids))
    assert seqs == sorted(set(seqs))
    return seen


@pytest.fixture(autouse=True)
def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """The figures go to the terminal even when the test passes."""
    yield
    with capsys.disabled():
        print(capsys.readouterr().out, end="")
