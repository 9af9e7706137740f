"""The publisher's thread, step by step: what is sent when the broker's socket has no room just now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.publish import Order, Received
from agent.publish.commands import Reload
from agent.publish.publisher import Publisher
from agent.publish.session import Acked, Online, Outgoing
from agent.publish.topics import command
from tests.fakes.scenes import Model, scene, settings

CAMERAS = [f"cam{n}" for n in range(20)]  # with three retained states each


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    """Just connected, none of its threads runs: what it hands over stays where the socket's thread would take it."""
    topics = {"command": command.Options(enabled=True, verbs=("set", "reload"))}
    made = Publisher(settings(9, *CAMERAS, state_dir=tmp_path, topics=topics), Model(), obeys=("set", "reload"))
    made._outbox.open()
    made._writer._noted(Online(1, 1 << 20, 65_535))
    yield made
    made._outbox.close()
    made.close()


def handed_over(publisher: Publisher) -> list[Outgoing]:
    """What the socket takes now; the broker acknowledges it at once."""
    publisher._writer._send(time.monotonic())
    taken = [message for _, message in publisher._connection._outgoing]
    publisher._connection._outgoing.clear()
    publisher._writer._noted(Acked(tuple(one.token for one in taken if one.qos)))
    return taken


@pytest.mark.parametrize(("verb", "payload"), [("reload", b"{}"), ("set", b'{"camera": "cam0", "fps": 2}')])
def test_an_answer_waits_behind_the_states_of_a_new_connection(publisher: Publisher, verb: str, payload: bytes) -> None:
    """More states than the socket's backlog may have go out first; the answer came a moment too late to be before."""
    writer = publisher._writer
    writer._send(time.monotonic())
    assert publisher._connection.backlog > 32

    asked = Received(f"lookout/pi/command/{verb}", payload)
    publisher._inbox.put(asked)
    if verb == "reload":
        publisher.answer(Order("reload", Reload(), asked), "")
    writer._take()
    told = [one.topic for _ in range(4) for one in handed_over(publisher)]

    assert told.count(f"lookout/pi/command/{verb}/result") == 1
    assert writer.stats.dropped == 0


def test_what_is_only_worth_something_now_is_dropped_meanwhile(publisher: Publisher) -> None:
    writer = publisher._writer
    writer._send(time.monotonic())
    publisher.on_scene(scene(camera="cam0"))
    writer._take()

    assert writer.stats.dropped == 1
    assert "lookout/pi/cam0/detections" not in [one.topic for _ in range(4) for one in handed_over(publisher)]
