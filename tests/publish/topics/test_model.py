"""model/state: told when it changes, and only where somebody looks for new models."""

from __future__ import annotations

import json

from agent.device.manifest import Standing
from agent.publish import JSON, Message, Received, Scope, State, wire
from agent.publish.payloads import Model
from agent.publish.topics import model, status
from tests.fakes.clock import FixedClock
from tests.fakes.scenes import LABELS

SENDER = wire.Sender("pi", LABELS, Model("ssd", "ab"), FixedClock())


def told(messages: object) -> list[tuple[str, str, str]]:
    found = []
    for message in list[Message](messages):  # type: ignore[call-overload]
        assert isinstance(message, State)
        assert (message.topic, message.content_type) == ("lookout/pi/model/state", JSON)
        state = json.loads(message.payload)
        assert state["model"] == {"name": "ssd", "sha256": "ab"}
        found.append((state["installed_version"], state["latest_version"], state["trouble"]))
    return found


def test_a_change_is_told_once() -> None:
    now = [Standing(6, 6)]
    topic = model.create(model.Options(), Scope("lookout/pi", SENDER, ("yard",), offers=lambda: now[0]))
    assert told(topic.connected()) == [("6", "6", "")]
    assert told(topic.tick(1.0)) == []
    now[0] = Standing(6, 7)
    assert told(topic.tick(2.0)) == [("6", "7", "")]
    now[0] = Standing(6, 7, "no route")
    assert told(topic.tick(3.0)) == [("6", "7", "no route")]
    assert told(topic.connected()) == []  # the publisher sends states again


def test_where_nobody_looks_it_is_silent_and_what_an_earlier_run_left_is_removed() -> None:
    silent = Scope("lookout/pi", SENDER, ("yard",))
    assert told(model.create(model.Options(), silent).connected()) == []
    left = Received("lookout/pi/model/state", b"{}", retained=True)
    topic = status.create(status.Options(), silent)
    assert left.topic in topic.subscriptions
    assert list(topic.received(left)) == [State("lookout/pi/model/state", b"")]
    offered = Scope("lookout/pi", SENDER, ("yard",), offers=Standing)
    assert left.topic not in status.create(status.Options(), offered).subscriptions
