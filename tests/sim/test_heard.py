import json
import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.data import Detections, Event, Frame, Scene, Tracks
from agent.publish import wire
from agent.sim import render
from agent.sim.heard import Heard, Track

NOW, WALL = 50.0, 1_800_000_000.0  # WALL is 2027-01-15T08:00:00Z
SEEN = {
    "schema": "lookout/detections/1", "device": "office", "camera": "street", "time": "2027-01-15T07:59:59.986Z",
    "clock_trusted": True, "seq": 7, "age_ms": 11.5, "size": [768, 576], "model": {"name": "ssd", "sha256": "ab"},
    "fps": 10.0, "times_ms": {"invoke": 9.8},
    "tracks": [{"id": 3, "label": "person", "confidence": 0.87, "box": [0, 0, 0.5, 1], "age": 3.2, "velocity": [0, 0]}],
}  # fmt: skip


def heard(*messages: tuple[str, object], retained: bool = False) -> Heard:
    told = Heard("office")
    for tail, payload in messages:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        told.take(f"lookout/office/{tail}", raw, retained, NOW, WALL)
    return told


def test_a_detections_message_is_known_by_camera() -> None:
    told = heard(("street/detections", SEEN))
    street = told.cameras["street"]
    assert street.said.tracks == (Track(3, "person", 0.87, 3.2),)
    assert (street.said.fps, street.said.times_ms, street.at) == (10.0, {"invoke": 9.8}, NOW)
    assert (told.frames, told.objects, told.tracks) == (1, 1, {("street", 3)})


def test_latency_counts_from_the_exposure_of_the_frame_to_its_arrival() -> None:
    assert list(heard(("street/detections", SEEN)).latency) == [pytest.approx(0.014, abs=1e-6)]


def test_a_message_from_the_future_by_rounding_has_no_negative_latency() -> None:
    assert list(heard(("street/detections", {**SEEN, "time": "2027-01-15T08:00:00.001Z"})).latency) == [0.0]


def test_a_clips_own_time_is_not_taken_for_a_latency() -> None:
    assert not heard(("street/detections", {**SEEN, "time": "1970-01-01T00:00:03.000Z"})).latency


def test_a_track_seen_in_many_frames_counts_once_and_its_namesake_on_another_camera_again() -> None:
    told = heard(("a/detections", SEEN), ("a/detections", SEEN), ("b/detections", SEEN))
    assert (told.frames, told.objects, len(told.tracks)) == (3, 3, 2)


def test_it_reads_what_the_agent_publishes() -> None:
    sender = wire.Sender("office", ("person",), wire.Model("ssd", "ab"))
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 7, time.monotonic() - 0.05)
    row = {"track_id": 3, "xyxy": [8, 8, 16, 24], "velocity": [1, 0], "confidence": 0.9, "class_id": 0, "age": 1.5}
    columns = {name: (row.get(name, 0), dtype) for name, (dtype, _) in Tracks.columns.items()}
    tracks = Tracks(**{name: np.array([value], dtype) for name, (value, dtype) in columns.items()})
    begin = Event("track_start", frame.t, frame.seq, "street", 3, {})
    scene = Scene("street", frame, Detections.empty(), tracks, (begin,), {"invoke": 9.8})
    told = Heard("office")
    for tail, payload in [
        ("street/detections", wire.detections(scene, sender, 10.0)),
        ("street/events", wire.event(begin, "street", frame.size, sender, label="person")),
    ]:
        told.take(f"lookout/office/{tail}", wire.encode(payload), False, time.monotonic(), time.time())
    assert told.unreadable == 0, told.trouble
    assert told.cameras["street"].said.tracks == (Track(3, "person", 0.9, 1.5),)
    assert (told.events[0].kind, told.events[0].track, told.events[0].label) == ("track_start", 3, "person")
    assert told.latency[0] >= 0.049  # exposed 50 ms ago, stamped to the ms


def test_device_and_camera_status_are_told_apart() -> None:
    told = heard(("status", b"online"), ("street/status", b"offline"))
    assert (told.online, told.cameras["street"].online) == (True, False)


def test_a_camera_that_speaks_is_not_offline() -> None:
    assert heard(("street/status", b"offline"), ("street/detections", SEEN)).cameras["street"].online is None
    assert heard(("street/status", b"online"), ("street/detections", SEEN)).cameras["street"].online is True


def test_what_the_broker_kept_from_before_is_not_live() -> None:
    told = heard(("status", b"offline"), retained=True)
    assert (told.messages, told.live) == (1, 0)


def test_topics_that_nobody_here_reads_are_counted_and_no_trouble() -> None:
    told = heard(("health", {"schema": "x"}), ("street/snapshot", b"\xff\xd8\xff"), ("health", b"not json"))
    assert dict(told.topics) == {"health": 2, "street/snapshot": 1}
    assert told.unreadable == 0


@pytest.mark.parametrize(
    ("tail", "payload", "trouble"),
    [
        ("street/detections", b"{", "street/detections: Input data was truncated"),
        ("street/detections", b"[]", "street/detections: Expected `object`, got `array`"),
        ("street/detections", {"tracks": 3}, "street/detections: Expected `array`, got `int` - at `$.tracks`"),
        ("street/events", {"kind": None}, "street/events: Expected `str`, got `null` - at `$.kind`"),
        ("status", b"maybe", "status: neither online nor offline: b'maybe'"),
    ],
)
def test_what_cannot_be_read_is_counted_and_named(tail: str, payload: object, trouble: str) -> None:
    told = heard((tail, payload))
    assert (told.messages, told.unreadable, told.trouble) == (1, 1, trouble)


def test_a_time_without_a_zone_is_unreadable_and_not_guessed() -> None:
    assert heard(("street/detections", {"time": "2027-01-15T08:00:00.000"})).unreadable == 1


def test_a_time_that_has_no_local_form_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Etc/GMT+5")
    time.tzset()
    told = heard(("street/events", {"time": "0001-01-01T00:00:00Z"}))
    monkeypatch.undo()
    time.tzset()
    assert told.unreadable == 1


def test_memory_does_not_grow_with_what_is_only_shown() -> None:
    told = heard(*[("street/events", {"kind": "track_start", "track": n}) for n in range(1000)])
    assert [event.track for event in told.events] == list(range(950, 1000))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
times = st.datetimes().map(lambda t: t.isoformat() + "Z")
tracks = st.fixed_dictionaries(
    {}, optional={"id": st.integers(), "label": st.text(), "confidence": st.floats(allow_nan=False), "age": st.floats()}
)
detections = st.fixed_dictionaries(
    {},
    optional={"time": times, "fps": st.floats(), "tracks": st.lists(tracks), "times_ms": st.just({"\x1b[2J": 1e300})},
)
events = st.fixed_dictionaries(
    {"time": times}, optional={"kind": st.text(), "track": st.integers(), "label": st.text()}
)
tails = st.sampled_from(
    ["status", "street/status", "street/detections", "y\x1bard/detections", "street/events", "", "/"]
)
payloads = st.binary() | (json_values | detections | events).map(lambda value: json.dumps(value).encode())


@given(
    st.lists(st.tuples(tails, payloads, st.booleans()), max_size=5), st.tuples(st.integers(1, 120), st.integers(1, 50))
)
@example([("street/events", b'{"time": "0001-01-01T00:00:00Z"}', False)], (80, 24))
@example([("street/detections", b'{"x":' + b"[" * 100_000, False)], (80, 24))
def test_nothing_received_can_break_the_view(messages: list[tuple[str, bytes, bool]], size: tuple[int, int]) -> None:
    told = Heard("office")
    for tail, payload, retained in messages:
        told.take(f"lookout/office/{tail}", payload, retained, NOW, WALL)
    moment = render.Moment(NOW + 1, "12:00:00", "127.0.0.1:1883", "mosquitto_sub", size)
    lines = render.screen(told, moment)
    assert sum(max(1, -(-render.columns(line) // size[0])) for line in lines) == size[1] - 1  # rows, wrapped ones too
    assert all(render.columns(line) <= size[0] for line in lines[:-1])
    whole = "".join([*lines, render.plain_line(told, moment), *render.summary(told, render.Counters(0, 0, 0, 0), 1)])
    assert whole.isprintable()
