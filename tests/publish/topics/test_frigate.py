"""Frigate's words: the life of an object as its automations expect it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from agent.data import Scene
from agent.publish import Live, Message, Scope, State, wire
from agent.publish.payloads import Model
from agent.publish.topics import frigate
from tests.fakes.clock import FixedClock
from tests.fakes.scenes import LABELS, event, scene


def made() -> Any:
    sender = wire.Sender("pi", LABELS, Model("ssd", "ab"), FixedClock(1000.0))
    return frigate.create(frigate.Options(), Scope("lookout/pi", sender, ("yard",), {"yard": ("door",)}))


def at(t: float, n: int, *inside: bool, **more: Any) -> Scene:
    return replace(scene(n, t=t, **more), inside=np.array([inside or [False] * n]).reshape(1, n))


def events(messages: list[Message]) -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in messages if isinstance(m, Live) and m.topic == "frigate/events"]


def counts(messages: list[Message]) -> dict[str, int]:
    return {m.topic: int(m.payload) for m in messages if isinstance(m, State)}


def test_new_update_end_with_one_id_and_the_zones_it_entered() -> None:
    topic = made()
    life = [at(10, 1), at(10.1, 1), at(11, 1, True), at(12, 1), at(13, 0, events=(event("track_end", t=13.0),))]
    told = [one for moment in life for one in events(list(topic.scene(moment)))]
    assert [one["type"] for one in told] == ["new", "update", "update", "end"]
    assert len({one["after"]["id"] for one in told}) == 1
    assert [one["after"]["current_zones"] for one in told] == [[], ["door"], [], []]
    assert told[-1]["after"]["entered_zones"] == ["door"]
    assert told[0]["after"]["end_time"] is None
    assert told[-1]["after"]["end_time"] == 1013.0
    assert told[1]["before"]["current_zones"] == []
    assert told[0]["after"]["box"] == [64, 48, 128, 144]
    assert told[0]["after"]["area"] == 64 * 96
    assert not topic._objects


def test_an_object_that_stays_is_told_every_few_seconds() -> None:
    topic = made()
    told = [one["type"] for n in range(121) for one in events(list(topic.scene(at(n / 10, 1))))]
    assert told == ["new", "update", "update"]


def test_counts_go_up_and_back_to_zero() -> None:
    topic = made()
    assert counts(list(topic.scene(at(1, 2, True, False)))) == {
        "frigate/yard/person": 2,
        "frigate/yard/all": 2,
        "frigate/door/person": 1,
        "frigate/door/all": 1,
    }
    assert counts(list(topic.scene(at(2, 2, True, False)))) == {}
    assert set(counts(list(topic.scene(at(3, 0)))).values()) == {0}


def test_availability_is_told_at_birth_and_at_a_clean_end() -> None:
    topic = made()
    assert [m.payload for m in (*topic.connected(), *topic.closing())] == [b"online", b"stopped"]
