"""Ids that stay, ids that are never shared or reused, and who is believed."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import Tracker as Options
from agent.data import Detections, Tracks
from agent.track.tracker import Tracker
from tests.track.people import CAR, LABELS, NOTHING, PERSON, TRUCK, Box, at, crowd, ids, person, run, seen

# --- ids that stay


@pytest.mark.parametrize("fps", [30, 10, 5, 3, 2])
def test_a_walker_is_one_track_at_any_frame_rate(fps: float) -> None:
    told, events = run(Tracker(Options()), lambda t: seen([person(100 + 70 * t)]), at(fps, 8))
    assert ids(told) == {1}
    assert [event.kind for event in events] == ["track_start"]
    np.testing.assert_allclose(told[-1].velocity[0], [70, 0], atol=6)


def test_track_keeps_its_id_through_a_gap() -> None:
    def frame(t: float) -> Detections:
        return NOTHING if 2 <= t < 3.2 else seen([person(100 + 70 * t)])

    told, events = run(Tracker(Options()), frame, at(10, 6))
    assert ids(told) == {1}
    assert [event.kind for event in events] == ["track_start"]


def test_two_who_cross_keep_their_ids() -> None:
    def frame(t: float) -> Detections:
        return seen([person(100 + 80 * t, 290), person(740 - 80 * t, 330)])

    told, _ = run(Tracker(Options()), frame, at(10, 8))
    first, last = told[2], told[-1]
    assert ids(told) == {1, 2}
    left = {int(i) for i, box in zip(first.track_id, first.xyxy, strict=True) if box[0] < 400}
    right_at_the_end = {int(i) for i, box in zip(last.track_id, last.xyxy, strict=True) if box[0] > 400}
    assert left == right_at_the_end


@pytest.mark.parametrize("slower", [2, 3])
def test_fewer_frames_from_the_middle_on_change_no_id(slower: int) -> None:
    frames = crowd(12, seed=4)
    steady, _ = run(Tracker(Options()), frames, at(10, 10))
    times = at(10, 5) + at(10 / slower, 5, start=5.0)
    slowed, _ = run(Tracker(Options()), frames, times)
    by_time = {round(t, 3): tracks for t, tracks in zip(at(10, 10), steady, strict=True)}
    for t, tracks in zip(times, slowed, strict=True):
        same = by_time.get(round(t, 3))
        if same is not None:
            pairs = dict(zip(same.row.tolist(), same.track_id.tolist(), strict=True))
            assert {pairs[row]: pairs[row] for row in tracks.row.tolist()} == {
                pairs[row]: track for row, track in zip(tracks.row.tolist(), tracks.track_id.tolist(), strict=True)
            }


def test_a_weak_detection_keeps_a_track_but_founds_none() -> None:
    def frame(t: float) -> Detections:
        return seen([person(100 + 30 * t)], 0.9 if t < 1 else 0.4)

    told, _ = run(Tracker(Options()), frame, at(10, 5))
    assert ids(told) == {1}
    assert told[-1].missed.tolist() == [0]
    weak, events = run(Tracker(Options()), lambda t: seen([person(100 + 30 * t)], 0.4), at(10, 5))
    assert (ids(weak), events) == (set(), [])


@pytest.mark.parametrize("fps", [30, 10, 5])
def test_what_is_next_to_nothing_stops_being_told_and_then_keeps_no_track(fps: float) -> None:
    def frame(t: float) -> Detections:
        return seen([person(100)], 0.9 if t < 2 else 0.12)

    times = at(fps, 6)
    told, events = run(Tracker(Options()), frame, times)
    last_told = max(t for t, tracks in zip(times, told, strict=True) if len(tracks))
    end = next(event for event in events if event.kind == "track_end")
    assert 2.5 < last_told < 3.5  # half of missed_s after the last strong detection, a little more for the weak ones
    assert 3.5 < end.t < 4.8
    assert end.detail["reason"] == "missed"
    assert end.detail["value_s"] > end.detail["limit_s"]


def test_a_strong_detection_ends_all_doubt() -> None:
    def frame(t: float) -> Detections:
        return seen([person(100)], 0.9 if t < 1 or 2.5 < t < 2.65 else 0.12)

    told, events = run(Tracker(Options()), frame, at(10, 4))
    assert [event.kind for event in events] == ["track_start"]
    assert [len(tracks) for t, tracks in zip(at(10, 4), told, strict=True) if 2.5 < t < 3.4] == [1] * 8


def test_a_slow_camera_confirms_and_keeps_as_a_fast_one() -> None:
    starts = {}
    for fps in (10, 2):
        _, events = run(Tracker(Options()), lambda t: seen([person(300 + 40 * t)]), at(fps, 5))
        starts[fps] = [event.kind for event in events]
    assert starts[10] == starts[2] == ["track_start"]


# --- who is believed


def test_one_detection_is_no_object_however_sure() -> None:
    tracker = Tracker(Options())
    assert len(tracker.update(seen([person(100)], 1.0), 0.0, 0)[0]) == 0
    assert len(tracker.update(seen([person(100)], 1.0), 0.1, 1)[0]) == 1


def test_a_flicker_in_a_third_of_the_frames_is_never_believed() -> None:
    def frame(t: float) -> Detections:
        return seen([person(500)], 0.75) if round(t * 10) % 3 == 0 else NOTHING

    told, events = run(Tracker(Options()), frame, at(10, 30))
    assert (ids(told), events) == (set(), [])


def test_the_median_decides_not_one_good_score() -> None:
    tracker = Tracker(Options(high=0.4, confirm=0.6))
    told, _ = run(tracker, lambda t: seen([person(500)], 0.95 if round(t * 10) == 3 else 0.5), at(10, 5))
    assert ids(told) == set()


def test_an_echo_of_a_paired_detection_founds_no_track() -> None:
    """A detector with a loose NMS answers twice for one object."""
    told, _ = run(Tracker(Options()), lambda t: seen([person(100), person(106)], [0.9, 0.7]), at(10, 3))
    assert ids(told) == {1}
    assert {len(tracks) for tracks in told[1:]} == {1}


# --- classes


def test_a_truck_that_is_a_car_for_a_frame_stays_one_truck() -> None:
    def frame(t: float) -> Detections:
        return seen([(200 + 50 * t, 300, 420 + 50 * t, 420)], 0.8, CAR if round(t * 10) % 4 == 3 else TRUCK)

    told, events = run(Tracker(Options(), LABELS), frame, at(10, 6))
    assert ids(told) == {1}
    assert told[-1].class_id.tolist() == [TRUCK]
    assert [event.kind for event in events] == ["track_start"]


def test_car_and_truck_boxes_on_one_object_are_one_track() -> None:
    box = (200.0, 300.0, 420.0, 420.0)
    told, _ = run(Tracker(Options(), LABELS), lambda _: seen([box, box], [0.8, 0.7], [TRUCK, CAR]), at(10, 3))
    assert len(told[-1]) == 1


def test_a_person_is_never_a_car() -> None:
    """The same box changes its class for good: the person's track ends, the car is another object."""

    def frame(t: float) -> Detections:
        return seen([person(300)], 0.9, PERSON if t < 2 else CAR)

    told, events = run(Tracker(Options(), LABELS), frame, at(10, 6))
    assert ids(told) == {1, 2}
    assert [(event.kind, event.detail["class_id"]) for event in events] == [
        ("track_start", PERSON),
        ("track_start", CAR),
        ("track_end", PERSON),
    ]


# --- ids that are never shared or reused


def test_two_trackers_share_nothing() -> None:
    one, two = Tracker(Options()), Tracker(Options())
    alone, _ = run(Tracker(Options()), crowd(5), at(10, 3))
    mixed = []
    for seq, t in enumerate(at(10, 3)):
        mixed.append(one.update(crowd(5)(t), t, seq)[0])
        two.update(crowd(9, seed=8)(t), t, seq)
    for a, b in zip(alone, mixed, strict=True):
        np.testing.assert_array_equal(a.track_id, b.track_id)
        np.testing.assert_array_equal(a.xyxy, b.xyxy)


def test_ten_thousand_frames_of_coming_and_going_leave_no_trace() -> None:
    tracker = Tracker(Options(max_tracks=64))
    rng, started, ended, sizes = np.random.default_rng(2), [], [], []
    for seq in range(10_000):
        wave = seq // 40  # every 4 s other people, in other places; between them nobody
        places = np.random.default_rng(wave).uniform([0, 0], [1800, 900], (wave % 7, 2))
        boxes = [person(*xy) for xy in places + rng.normal(0, 1, places.shape)] if seq % 40 < 15 else []
        _, events = tracker.update(seen(boxes), seq / 10, seq)
        started += [event.track_id for event in events if event.kind == "track_start"]
        ended += [event.track_id for event in events if event.kind == "track_end"]
        if seq in (999, 9_999):
            sizes.append(len(pickle.dumps(tracker)))
    assert started == list(range(1, len(started) + 1))
    assert len(set(ended)) == len(ended) > 500
    assert abs(sizes[1] - sizes[0]) < 64


def test_more_objects_than_the_table_holds_are_left_out_and_nothing_breaks() -> None:
    told, _ = run(Tracker(Options(max_tracks=10)), crowd(25), at(10, 2))
    assert {len(tracks) for tracks in told[2:]} == {10}
    assert set(told[-1].row.tolist()) == set(range(10))  # the most confident ones


# --- order, time, odd input


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_detections_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sorted_, shuffled = Tracker(Options(), LABELS), Tracker(Options(), LABELS)
    boxes = rng.uniform([0, 0], [300, 150], (8, 2))
    for seq in range(8):
        xy = np.round(boxes + rng.normal(0, 6, boxes.shape))
        xyxy = np.hstack([xy, xy + np.array([60, 90])]).astype(np.float32)
        frame = Detections(xyxy, rng.choice([0.2, 0.7, 0.9], 8).astype(np.float32), rng.integers(0, 3, 8, np.int32))
        order = rng.permutation(8)
        a, events_a = sorted_.update(frame, seq / 5, seq)
        b, events_b = shuffled.update(frame[order], seq / 5, seq)
        for name in Tracks.columns:
            if name != "row":
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        np.testing.assert_array_equal(frame.xyxy[a.row], frame[order].xyxy[b.row])
        assert [(e.kind, e.track_id, e.detail) for e in events_a] == [(e.kind, e.track_id, e.detail) for e in events_b]


def test_time_that_repeats_or_goes_back_breaks_nothing() -> None:
    tracker = Tracker(Options())
    told, events = [], []
    for seq, t in enumerate([0, 0.1, 0.1, 0.2, 0.15, 0.3, 0.4, -50.0, -49.9, -49.8]):
        tracks, new = tracker.update(seen([person(100 + 3 * seq)]), t, seq)
        told.append(tracks)
        events += new
    assert ids(told) == {1}
    assert all(np.isfinite(tracks.xyxy).all() and (tracks.age >= 0).all() for tracks in told)
    assert [event.kind for event in events] == ["track_start"]


def test_the_clock_goes_on_after_a_step_back() -> None:
    tracker = Tracker(Options(missed_s=1.0))
    run(tracker, lambda _: seen([person(100)]), [0, 0.1, 0.2])
    _, events = run(tracker, lambda _: NOTHING, [-50 + n / 10 for n in range(15)])
    assert [event.kind for event in events] == ["track_end"]


@pytest.mark.parametrize("bad", [(np.nan, 0, 10, 10), (0, 0, np.inf, 10), (50, 50, 50, 90), (90, 20, 40, 60)])
def test_an_impossible_box_is_ignored(bad: Box) -> None:
    tracker = Tracker(Options())
    told, _ = run(tracker, lambda _: seen([person(300), bad], [0.7, 0.9]), at(10, 1))
    assert ids(told) == {1}
    assert told[-1].row.tolist() == [1]  # of the frame's Detections, where the bad box came first


def test_nothing_at_all_is_an_empty_answer() -> None:
    tracks, events = Tracker(Options()).update(NOTHING, 0.0, 0)
    assert (len(tracks), events) == (0, [])
