"""What stands on the wire: names, rounding, normalised boxes, times."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.data import Event
from agent.publish import wire
from agent.publish.clock import Clock, rfc3339, uuid7
from agent.publish.payloads import Model
from tests.fakes.clock import FixedClock
from tests.fakes.scenes import LABELS, event, scene, tracks

MODEL = Model("ssd", "ab" * 32)


def sender(clock: Clock | None = None) -> wire.Sender:
    return wire.Sender("pi", LABELS, MODEL, clock or FixedClock(1_700_000_000.0), boot_id="b00t", new_id=lambda _: "id")


def test_detections_on_the_wire_have_exactly_these_keys_and_values() -> None:
    payload = json.loads(wire.encode(wire.detections(scene(1, t=10.5, seq=7), sender(), fps=9.96)))
    assert payload == {
        "schema": "lookout/detections/1",
        "device": "pi",
        "camera": "yard",
        "time": "2023-11-14T22:13:30.500Z",
        "clock_trusted": True,
        "seq": 7,
        "age_ms": 0.0,
        "size": [640, 480],
        "model": {"name": "ssd", "sha256": "ab" * 32},
        "fps": 10.0,
        "times_ms": {"detect": 12.35, "track": 0.5},
        "tracks": [
            {
                "id": 1,
                "label": "person",
                "confidence": 0.8765,
                "box": [0.1, 0.1, 0.2, 0.3],
                "age": 1.5,
                "velocity": [0.1, -0.1],
                "zones": [],
            }
        ],
    }
    assert next(iter(payload)) == "schema"


def test_an_event_on_the_wire_has_exactly_these_keys_and_values() -> None:
    happened = event(
        "zone_enter",
        xyxy=np.array([64, 48, 128, 144], np.float32),
        first_xyxy=[0, 0, 64, 48],
        path=[(0, 0), (640, 480)],
        dwell=1 / 3,
    )
    payload = json.loads(wire.encode(wire.event(happened, "yard", (640, 480), sender(), label="person", seq=3)))
    assert payload == {
        "schema": "lookout/event/1",
        "device": "pi",
        "id": "id",
        "seq": 3,
        "boot_id": "b00t",
        "kind": "zone_enter",
        "time": "2023-11-14T22:13:30.000Z",
        "clock_trusted": True,
        "camera": "yard",
        "source": "yard",
        "track": 1,
        "label": "person",
        "detail": {
            "box": [0.1, 0.1, 0.2, 0.3],
            "first_box": [0.0, 0.0, 0.1, 0.1],
            "path": [[0.0, 0.0], [1.0, 1.0]],
            "dwell": 0.3333,
        },
    }


def test_tracks_name_the_zones_they_stand_in() -> None:
    two = scene(2)
    inside = np.array([[True, False], [True, True]])
    here = type(two)(two.camera, two.frame, two.detections, two.tracks, (), {}, inside)
    told = wire.detections(here, sender(), zones=("door", "lawn"))
    assert [track.zones for track in told.tracks] == [("door", "lawn"), ("lawn",)]


def test_a_class_that_the_card_does_not_name_is_told_by_its_number() -> None:
    odd = scene(1)
    odd = type(odd)(odd.camera, odd.frame, odd.detections, tracks(1, class_id=90), (), {})
    assert wire.detections(odd, sender()).tracks[0].label == "90"


@given(
    xyxy=st.tuples(*[st.floats(-1e4, 1e4, width=32) for _ in range(4)]),
    size=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
)
def test_every_box_lies_in_the_unit_square_with_four_decimals(xyxy: Any, size: tuple[int, int]) -> None:
    for value in wire.boxes(np.array([xyxy], np.float32), size)[0]:
        assert 0 <= value <= 1
        assert value == round(value, 4)
        assert len(json.dumps(value)) <= 6  # "0.1235": no float noise on the wire


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_detail_becomes_json(value: Any) -> None:
    happened = Event("odd", 0.0, 0, "x", None, {"value": value, "array": np.float32(0.5)})
    decoded = json.loads(wire.encode(wire.event(happened, "yard", (4, 4), sender())))
    assert decoded["detail"]["array"] == 0.5


@given(st.floats(0, 4e9))
def test_times_are_rfc3339_with_milliseconds(unix_s: float) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rfc3339(unix_s))


def test_a_clock_that_is_set_moves_the_stamp_but_not_the_age(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    monkeypatch.setattr("time.time", lambda: 5000.0)
    assert clock.wall(99.0) == 4999.0
    monkeypatch.setattr("time.time", lambda: 9000.0)
    assert clock.wall(99.0) == 8999.0
    told = wire.detections(scene(t=99.0), sender(clock))
    assert told.age_ms == 1000.0


def test_uuid7_carries_its_time_and_sorts_by_it() -> None:
    ids = [uuid7(1_700_000_000 + ms / 1000) for ms in range(0, 50, 5)]
    assert ids == sorted(ids)
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert uuid.UUID(ids[0]).int >> 80 == 1_700_000_000_000
    assert uuid.UUID(ids[0]).variant == uuid.RFC_4122
    assert len({uuid7(1.0) for _ in range(1000)}) == 1000
