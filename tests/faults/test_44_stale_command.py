"""A command that stands retained at the broker is not obeyed, at the start or after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as paho

from tests.fakes.agent import YARD, Running
from tests.fakes.mosquitto import Broker
from tests.faults.conftest import Row, full


class Prepared(Broker):
    """With a retained command."""

    def start(self) -> Broker:
        super().start()
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        off = b'{"camera": "yard", "detection": false}'
        client.publish("lookout/pi/command/set", off, qos=1, retain=True).wait_for_publish(20)
        client.loop_stop()
        client.disconnect()
        return self


@full
def test_it_is_not_obeyed(tmp_path: Path, start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("retained stale command", "publish -r before the start", "ignored")
    agent = start(YARD, broker=Prepared(tmp_path))
    agent.frames()
    assert agent.of("yard/detection/state") == [b"ON"]
    assert [event for event in agent.events("command") if event["detail"]["verb"] == "set"] == []
    told.seen = "not obeyed, not answered"
