"""counts and health: what holds now, told when it changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.device.health import Health
from agent.publish import Live, Scope, State, Stats, wire
from agent.publish.payloads import Model
from agent.publish.topics import counts, detections, events, health, status
from agent.track.counters import Counters
from tests.fakes.clock import FixedClock
from tests.fakes.scenes import LABELS, event, scene

BOARD = Health(
    51.234, (), (), 0.5, 0.25, 900.0, 120.0, 3600.0, clock_synchronised=True, fps=9.96, stage_ms={"a": 1.234}
)


def scope(counters: Counters | None = None, stats: Stats | None = None, **more: Any) -> Scope:
    sender = wire.Sender("pi", LABELS, Model("ssd", "ab"), FixedClock())
    return Scope("lookout/pi", sender, ("yard",), counters=counters, stats=lambda: stats or Stats(), **more)


def test_counts_are_told_at_the_start_and_on_change() -> None:
    counters = Counters()
    counters.declare("yard", "door", is_zone=True)
    topic = counts.create(counts.Options(), scope(counters))
    before = {m.topic: m.payload for m in topic.tick(0.0) if isinstance(m, State)}
    assert before == {
        "lookout/pi/yard/counts/door/all": b"0",
        "lookout/pi/yard/counts/door/all/in": b"0",
        "lookout/pi/yard/counts/door/all/out": b"0",
    }
    counters.add("yard", "door", "traffic light", "in")
    after = {m.topic: m.payload for m in topic.tick(1.0) if isinstance(m, State)}
    assert after == {
        "lookout/pi/yard/counts/door/traffic_light/in": b"1",
        "lookout/pi/yard/counts/door/all/in": b"1",
    }
    assert not list(topic.tick(2.0))


def test_health_comes_every_period_and_at_once_when_a_state_changes() -> None:
    stats = Stats(waiting=3)
    topic = health.create(health.Options(every_s=30.0), scope(stats=stats))
    assert not list(topic.tick(0.0))
    list(topic.connected())
    list(topic.health(BOARD))
    (message,) = topic.tick(1.0)
    assert isinstance(message, Live)
    told = json.loads(message.payload)
    assert (told["soc_c"], told["fps"], told["outbox"], told["events_waiting"]) == (51.23, 10.0, "ok", 3)
    assert told["cameras"] == {"yard": "offline"}
    assert not list(topic.tick(20.0))
    assert list(topic.tick(31.5))
    list(topic.camera("yard", online=True))
    assert list(topic.tick(32.0))
    stats.outbox_trouble = "disk is full"
    (message,) = topic.tick(32.2)
    assert isinstance(message, Live)
    assert json.loads(message.payload)["outbox"] == "disk is full"


def test_a_camera_is_told_once_a_change_and_counts_as_offline_before() -> None:
    topic = status.create(status.Options(), scope())
    assert [m.payload for m in topic.connected() if isinstance(m, State)] == [b"offline"]
    assert [m.payload for m in topic.camera("yard", online=True) if isinstance(m, State)] == [b"online"]
    assert not list(topic.camera("yard", online=True))
    assert not list(topic.connected())


@pytest.mark.parametrize("fps", [5, 30, 100])
def test_detections_keep_to_their_rate_whatever_the_frame_rate(fps: int) -> None:
    topic = detections.create(detections.Options(rate_hz=10.0), scope())
    sent = [m for n in range(10 * fps) for m in topic.scene(scene(1, t=n / fps, seq=n))]
    assert len(sent) == pytest.approx(10 * min(fps, 10), abs=1)


def test_an_empty_scene_is_told_once_after_a_full_one() -> None:
    topic = detections.create(detections.Options(rate_hz=100.0), scope())
    sizes = [0, 0, 2, 2, 0, 0, 0]
    told = [list(topic.scene(scene(n, t=float(t)))) for t, n in enumerate(sizes)]
    assert [bool(one) for one in told] == [False, False, True, True, True, False, False]


def test_the_label_of_a_track_is_remembered_until_its_end_and_updates_are_rare() -> None:
    topic = events.create(events.Options(update_s=5.0), scope())
    start, end = event("track_start", t=0.0), event("track_end", t=30.0)
    updates = [event("track_update", t=float(t)) for t in range(1, 20)]
    drafts = [m.draft for m in topic.scene(scene(1, events=(start,)))]  # type: ignore[union-attr]
    drafts += [m.draft for m in topic.scene(scene(0, events=(*updates, end)))]  # type: ignore[union-attr]
    assert [(d.kind, d.label) for d in drafts] == [
        ("track_start", "person"),
        *[("track_update", "person")] * 3,
        ("track_end", "person"),
    ]
    assert not topic._told  # type: ignore[attr-defined]
