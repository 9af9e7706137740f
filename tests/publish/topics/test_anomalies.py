"""<camera>/anomalies: both edges of an episode, in the words of the wire, and how many are going on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import cv2
import numpy as np

from agent.data import Strange
from agent.publish import Durable, Live, Message, Scope, State, wire
from agent.publish.payloads import AnomalyMessage, Model
from agent.publish.topics import anomalies
from tests.fakes.clock import FixedClock
from tests.fakes.scenes import LABELS, anomaly, scene


def topic() -> anomalies._Anomalies:
    sender = wire.Sender("pi", LABELS, Model("ssd", "ab"), FixedClock())
    made = anomalies.create(anomalies.Options(), Scope("lookout/pi", sender, ("yard", "door")))
    assert isinstance(made, anomalies._Anomalies)
    return made


def active(messages: Iterable[Message]) -> list[tuple[str, bytes]]:
    return [(one.topic, one.payload) for one in messages if isinstance(one, State)]


def drafts(messages: Iterable[Message]) -> list[AnomalyMessage]:
    return [m.draft for m in messages if isinstance(m, Durable) and isinstance(m.draft, AnomalyMessage)]


def test_an_anomaly_says_why_and_where_with_its_numbers() -> None:
    (told,) = drafts(topic().scene(scene(anomalies=(anomaly(),))))

    assert (told.kind, told.active, told.source, told.episode) == ("loitering", True, "porch", 1)
    assert (told.reason, told.value, told.limit, told.baseline) == ("person stays", 61.2346, 60.0, None)
    assert (told.track, told.label, told.severity) == (1, "person", 0.02)
    assert told.detail == {"box": [0.1, 0.1, 0.2, 0.3]}


def test_what_is_usual_is_told_as_from_and_to() -> None:
    (told,) = drafts(topic().scene(scene(anomalies=(anomaly(baseline=(0.0, 0.44444)),))))

    assert told.baseline == (0.0, 0.4444)


def test_how_many_are_going_on_is_a_state_that_begins_with_0() -> None:
    made = topic()
    level = "lookout/pi/yard/anomalies/active"

    assert active(made.connected()) == [(level, b"0"), ("lookout/pi/door/anomalies/active", b"0")]
    assert active(made.scene(scene(anomalies=(anomaly(), anomaly(episode=2))))) == [(level, b"2")]
    assert active(made.scene(scene())) == []
    assert active(made.scene(scene(anomalies=(anomaly("anomaly_end"),)))) == [(level, b"1")]
    assert active(made.scene(scene(anomalies=(anomaly("anomaly_end", episode=2),)))) == [(level, b"0")]
    assert active(made.connected()) == []


def test_an_anomaly_that_a_reload_made_anew_leaves_nothing_open_behind_it() -> None:
    made = topic()
    level = "lookout/pi/yard/anomalies/active"
    assert active(made.scene(scene(anomalies=(anomaly(episode=1), anomaly(episode=2))))) == [(level, b"2")]

    assert active(made.scene(scene(anomalies=(anomaly(episode=1),)))) == [(level, b"1")]


def test_both_ends_go_through_the_outbox_before_other_events() -> None:
    messages = list(topic().scene(scene(anomalies=(anomaly(), anomaly("anomaly_end")))))

    kept = [message for message in messages if isinstance(message, Durable)]
    assert [message.topic for message in kept] == ["lookout/pi/yard/anomalies"] * 2
    assert [draft.active for draft in drafts(messages)] == [True, False]
    assert all(message.priority > 2 for message in kept)


def test_what_a_second_model_saw_goes_out_in_red_before_it_is_told_of() -> None:
    sender = wire.Sender("pi", LABELS, Model("ssd", "ab"), FixedClock())
    made = anomalies.create(anomalies.Options(snapshots=True), Scope("lookout/pi", sender, ("yard",)))
    heat = np.zeros((2, 4), np.float32)
    heat[1, 3] = 1.0
    shown = scene(anomalies=(anomaly(),))
    height, width = shown.frame.image.shape[:2]
    seen = Strange(0.0, (0.0, 0.0, float(width), float(height)), 9.0, 4.0, (0.0, 1.0), heat)
    picture, told, _ = made.scene(dataclasses.replace(shown, strange={"porch": seen}))

    assert isinstance(picture, Live)
    assert isinstance(told, Durable)
    assert told.draft.detail["snapshot"] == picture.topic == f"lookout/pi/yard/anomalies/{told.draft.id}/snapshot"
    image = cv2.imdecode(np.frombuffer(picture.payload, np.uint8), cv2.IMREAD_COLOR)
    red = image[:, :, 2].astype(int) - image[:, :, 0]
    assert red[-height // 6, -width // 10] > red[height // 4, width // 4] + 60

    (told, *_) = made.scene(shown)  # nothing was seen: nothing to show
    assert isinstance(told, Durable)
    assert "snapshot" not in told.draft.detail
