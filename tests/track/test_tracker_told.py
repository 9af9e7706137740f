"""What the tracker tells: rows, ends, guesses in gaps, and parts of the frame that nobody looked at."""

import numpy as np
import pytest

from agent.config import Tracker as Options
from agent.data import Array, Detections, Event, Tracks
from agent.track.tracker import Tracker
from tests.track.people import NOTHING, PERSON, at, ids, person, run, seen

# --- what is told


def test_a_track_follows_what_the_table_promises() -> None:
    told, _ = run(Tracker(Options()), lambda t: seen([person(900), person(100 + 50 * t)], [0.7, 0.9]), at(10, 2))
    last = told[-1]
    assert last.track_id.tolist() == [1, 2]
    assert sorted(last.row.tolist()) == [0, 1]
    np.testing.assert_allclose(last.age, 1.9, atol=1e-4)
    np.testing.assert_allclose(last.confidence, np.array([0.9, 0.7]), atol=1e-6)


@pytest.mark.parametrize(("coast_s", "expected"), [(0.0, 0), (0.5, 5)])
def test_a_missed_track_is_told_for_as_long_as_the_config_says(coast_s: float, expected: int) -> None:
    def frame(t: float) -> Detections:
        return seen([person(100 + 50 * t)]) if t < 2 else NOTHING

    told, _ = run(Tracker(Options(coast_s=coast_s)), frame, at(10, 3.5))
    guessed = [tracks for tracks in told if len(tracks) and tracks.row[0] == -1]
    assert len(guessed) == expected
    for n, tracks in enumerate(guessed, 1):
        np.testing.assert_allclose(tracks.missed, n / 10, atol=1e-5)
        np.testing.assert_allclose(tracks.xyxy[0], person(100 + 50 * (1.9 + n / 10)), atol=6)


def test_the_end_of_a_track_says_what_it_was() -> None:
    def frame(t: float) -> Detections:
        return seen([person(100 + 50 * t)], 0.8, PERSON) if t <= 2 else NOTHING

    _, events = run(Tracker(Options(missed_s=1.0)), frame, at(10, 5))
    start, end = events
    assert (start.kind, start.seq, start.source, start.track_id) == ("track_start", 1, "", 1)
    assert start.detail["median_confidence"] >= start.detail["limit"]
    assert (end.kind, end.track_id, end.source, end.detail["reason"]) == ("track_end", 1, "", "missed")
    assert end.t == pytest.approx(3.1)
    assert end.detail["class_id"] == PERSON
    assert end.detail["value_s"] > end.detail["limit_s"] == 1.0
    assert end.detail["confidence"] == pytest.approx(0.8, abs=1e-6)
    assert end.detail["travelled_px"] == pytest.approx(100, abs=16)
    np.testing.assert_allclose(end.detail["first_xyxy"], person(100), atol=0.01)
    np.testing.assert_allclose(end.detail["xyxy"], person(200), atol=0.01)


def test_who_stands_travels_nowhere() -> None:
    rng = np.random.default_rng(9)
    tracker = Tracker(Options(missed_s=0.5))
    run(tracker, lambda _: seen([person(*(300 + rng.normal(0, 2, 2)))]), at(10, 20))
    _, events = run(tracker, lambda _: NOTHING, at(10, 2, start=20.0))
    assert events[0].detail["travelled_px"] < 20


# --- looking at parts of the frame


HERE = np.array([[250, 250, 450, 450]], np.float32)
ELSEWHERE = np.array([[900, 250, 1200, 450]], np.float32)


def watch(tracker: Tracker, seconds: float, areas: Array | None, start: float) -> tuple[Tracks, list[Event]]:
    events = []
    for seq, t in enumerate(at(10, seconds, start)):
        tracks, new = tracker.update(NOTHING, t, seq, areas)
        events += new
    return tracks, events


def standing(options: Options) -> Tracker:
    tracker = Tracker(options)
    for seq, t in enumerate(at(10, 2)):
        tracker.update(seen([person(320)]), t, seq, np.array([[0, 0, 1920, 1080]], np.float32))
    return tracker


def test_who_was_not_looked_at_is_not_missed() -> None:
    tracks, events = watch(standing(Options(missed_s=1.0)), 10, ELSEWHERE, 2.0)
    assert events == []
    assert (tracks.track_id.tolist(), tracks.row.tolist(), tracks.missed.tolist()) == ([1], [-1], [0.0])
    np.testing.assert_allclose(tracks.xyxy[0], person(320), atol=8)


@pytest.mark.parametrize("areas", [None, HERE])
def test_who_was_looked_for_in_vain_ends(areas: Array | None) -> None:
    tracks, events = watch(standing(Options(missed_s=1.0)), 2, areas, 2.0)
    assert (len(tracks), [event.kind for event in events]) == (0, ["track_end"])


def test_nothing_looked_at_means_nobody_is_missed() -> None:
    _, events = watch(standing(Options(missed_s=1.0)), 5, np.zeros((0, 4), np.float32), 2.0)
    assert events == []


def test_unseen_for_too_long_ends_too() -> None:
    _, events = watch(standing(Options(missed_s=1.0, unseen_s=5.0)), 8, ELSEWHERE, 2.0)
    assert [(event.kind, event.detail["reason"], event.detail["limit_s"]) for event in events] == [
        ("track_end", "unseen", 5.0)
    ]


def test_who_walked_out_of_the_picture_is_missed_though_no_area_can_show_him() -> None:
    tracker = Tracker(Options(missed_s=1.0))
    whole = np.array([[0, 0, 640, 480]], np.float32)
    for seq, t in enumerate(at(10, 3)):
        tracker.update(seen([person(300 + 110 * t)]), t, seq, whole)
    _, events = watch(tracker, 3, np.array([[0, 0, 300, 480]], np.float32), 3.0)
    assert [event.kind for event in events] == ["track_end"]


def test_an_unseen_one_is_found_again_as_the_same() -> None:
    tracker = standing(Options(missed_s=1.0))
    watch(tracker, 20, ELSEWHERE, 2.0)
    told, events = run(tracker, lambda _: seen([person(322)]), at(10, 1, start=22.0))
    assert (ids(told), events) == ({1}, [])
