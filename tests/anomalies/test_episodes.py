"""Both edges of an episode: once each, after a while, and never because of a flicker."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.anomalies import Place
from agent.anomalies.parts.episodes import MOST, Episodes, Finding, score, told_s
from agent.data import Detections, Event, Frame, Scene, Tracks

IMAGE = np.zeros((2, 2, 3), np.uint8)


def at(t: float) -> Scene:
    return Scene("yard", Frame(IMAGE, round(t * 10), t), Detections.empty(), Tracks.empty(), (), {})


def finding(value: float = 2.0, limit: float = 1.0) -> Finding:
    return Finding(f"{value:g} is too much", value, limit)


def run(beyond: list[bool], *, hold_s: float = 0.0, clear_s: float = 0.5, step_s: float = 0.1) -> list[Event]:
    episodes = Episodes(Place("yard", "porch", "crowding"), hold_s=hold_s, clear_s=clear_s)
    told = []
    for index, is_beyond in enumerate(beyond):
        told += episodes.update(at(index * step_s), {"a": finding()} if is_beyond else {})
    return told


def test_it_begins_after_hold_s_and_is_over_after_clear_s() -> None:
    start, end = run([True] * 20 + [False] * 20, hold_s=1.0, clear_s=0.5)

    assert (start.kind, round(start.t, 3), start.source) == ("anomaly_start", 1.0, "porch")
    assert (end.kind, round(end.t, 3)) == ("anomaly_end", 2.4)
    assert round(end.detail["lasted_s"], 3) == 1.9
    assert start.detail["episode"] == end.detail["episode"] == 1


def test_halving_the_frame_rate_changes_no_time() -> None:
    fast = run([True] * 20 + [False] * 20, hold_s=1.0, step_s=0.1)
    slow = run([True] * 10 + [False] * 10, hold_s=1.0, step_s=0.2)

    assert [round(event.t, 1) for event in slow] == [1.0, 2.4]  # 2.4: the first frame 0.5 s after 1.8
    assert [round(event.t, 1) for event in fast] == [1.0, 2.4]


def test_a_flicker_that_is_more_often_not_never_begins() -> None:
    assert run([True, False, False] * 100, hold_s=1.0) == []


def test_one_that_is_mostly_so_begins_in_spite_of_gaps() -> None:
    assert [event.kind for event in run([True, True, True, True, False] * 10, hold_s=1.0)] == ["anomaly_start"]


def test_a_gap_shorter_than_clear_s_is_none() -> None:
    told = run([True] * 10 + [False] * 4 + [True] * 10 + [False] * 10, clear_s=0.5)

    assert [event.kind for event in told] == ["anomaly_start", "anomaly_end"]


def test_the_end_tells_the_worst_there_was() -> None:
    episodes, told = Episodes(Place("yard", "porch", "crowding"), clear_s=0.1), []
    for index, value in enumerate((2.0, 9.0, 3.0)):
        told += episodes.update(at(index * 0.1), {"a": finding(value)})
    told += episodes.update(at(1.0), {})

    assert [event.detail["value"] for event in told] == [2.0, 9.0]
    assert told[1].detail["reason"] == "over after 0.2 s: 9 is too much"


def test_what_cannot_be_any_more_is_over_at_once() -> None:
    episodes = Episodes(Place("yard", "porch", "crowding"), clear_s=60.0)
    episodes.update(at(0.0), {7: finding()})

    assert [event.kind for event in episodes.update(at(0.1), {}, gone=[7])] == ["anomaly_end"]
    assert len(episodes) == 0


@given(
    st.lists(st.tuples(st.floats(-1, 5), st.sets(st.integers(0, 4))), max_size=60),
    st.floats(0, 3),
    st.floats(0, 3),
)
def test_each_episode_begins_once_and_ends_once_whatever_the_clock_does(
    frames: list[tuple[float, set[int]]], hold_s: float, clear_s: float
) -> None:
    episodes, t, open_ones = Episodes(Place("yard", "porch", "crowding"), hold_s=hold_s, clear_s=clear_s), 0.0, set()
    for dt, keys in frames:
        t += dt
        for event in episodes.update(at(t), {key: finding() for key in keys}):
            number = event.detail["episode"]
            assert (event.kind == "anomaly_start") == (number not in open_ones)
            open_ones ^= {number}
    assert len(open_ones) == len(episodes.keys()) <= 5


def test_there_are_never_more_than_most() -> None:
    episodes = Episodes(Place("yard", "porch", "crowding"), clear_s=1e9)
    told = episodes.update(at(0.0), {key: finding() for key in range(3 * MOST)})

    assert len(told) == len(episodes) == MOST


def test_a_score_is_half_at_the_limit() -> None:
    assert score(0.0, 5.0) == 0.0
    assert score(5.0, 5.0) == 0.5
    assert score(float("inf"), 5.0) == 1.0
    assert finding(1.0, 1.0).strength == 0.0
    assert finding(3.0, 1.0).strength == 0.5


def test_durations_are_told_in_words() -> None:
    assert [told_s(s) for s in (4.21, 200.0, 7500.0)] == ["4.2 s", "3 min 20 s", "2 h 5 min"]
