"""No broker at the start: cameras are looked at, events wait on the disk, and come in order when it is there."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fakes.agent import YARD, Running
from tests.fakes.mosquitto import Broker, Listener
from tests.faults.conftest import Row


def test_events_wait_and_come_in_order(
    tmp_path: Path, start: Callable[..., Running], consumer: Any, row: Callable[..., Row]
) -> None:
    told = row("broker absent at boot", "started without one", "looks at frames; events kept, in order later")
    agent = start(YARD, broker=Broker(tmp_path, durable=True))
    keeper = Listener(agent.broker.port, "lookout/pi/events", client_id="keeper")
    agent.process.stop(signal.SIGTERM)
    agent.broker.stop()
    agent.process.start()
    agent.wait(lambda: agent.process.log().count("camera yard: online") == 2, "the camera, without a broker")
    for n in range(1, 4):
        agent.write(YARD + f"fps = {n}\n")
        agent.process.signal(signal.SIGHUP)
        agent.wait(lambda n=n: agent.process.log().count("taken over") == n, "the reload")
    with told.recovery():
        agent.broker.start()
        agent.wait(lambda: len(keeper.messages) == 3, "the three events")
    taken = [consumer.take(payload) for _, payload, _ in keeper.messages]
    keeper.close()
    assert [(event["kind"], missing) for event, missing in taken] == [("config_changed", 0)] * 3
    told.seen = "3 of 3 events, in order"
