"""Lines: every crossing counts once, in the right direction, however the path lies to the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.areas import Line
from agent.data import Array, Tracks
from tests.track.walks import ABOVE, ACROSS, BELOW, ON, SIZE, Spot, Street, told, tracks


@pytest.mark.parametrize(
    ("points", "way"),
    [
        (((0.0, 0.5), (1.0, 0.5)), "in"),  # walked to the right: down is to the right hand
        (((1.0, 0.5), (0.0, 0.5)), "out"),
    ],
)
def test_in_is_from_the_left_hand_to_the_right_of_who_walks_the_line(points: tuple[Spot, Spot], way: str) -> None:
    assert told(Street(lines={"door": Line(points)}).walk(ABOVE, BELOW)) == [f"line_cross {way}"]


def test_over_a_line_that_is_walked_down_the_picture_in_is_to_the_left() -> None:
    street = Street(lines={"door": Line(((0.5, 0.1), (0.5, 0.9)))})

    assert told(street.walk((0.8, 0.5), (0.2, 0.5))) == ["line_cross in"]


def test_a_crossing_between_two_frames_far_apart_is_found_with_its_point_and_segment() -> None:
    street = Street(lines={"door": Line(((0.0, 0.5), (0.5, 0.5), (1.0, 0.5)), clearance=0.5)}, fps=2)

    (event,) = street.walk((0.6, 0.0), (0.8, 1.0), end=False)

    assert (event.kind, event.source, event.track_id, event.t) == ("line_cross", "door", 1, 0.5)
    path = np.array(event.detail["path"]) / SIZE
    assert path == pytest.approx(np.array([(0.6, 0.0), (0.7, 0.5), (0.8, 1.0)]), abs=1e-3)
    distance = 0.5 * SIZE[1] / np.sqrt(16 * 32)  # in sizes of the object
    assert event.detail.pop("distance") == pytest.approx(distance, abs=0.01)
    del event.detail["path"]
    assert event.detail == {
        "label": "person",
        "direction": "in",
        "segment": 2,
        "reason": "cleared",
        "clearance": 0.5,
        "ago_s": 0.0,
        "count": 1,
        "count_all": 1,
    }


def test_a_path_round_the_end_of_a_line_does_not_cross_it() -> None:
    street = Street(lines={"door": Line(((0.4, 0.5), (0.6, 0.5)))})

    assert street.walk((0.3, 0.3), (0.3, 0.7), (0.7, 0.7), (0.7, 0.3)) == []


def test_jitter_on_the_line_counts_once_when_it_is_over() -> None:
    street = Street(lines={"door": ACROSS})
    jitter = [(0.5, 0.5 + 0.004 * (-1) ** i) for i in range(51)]  # 1.5 px, of an object of 23 px

    assert street.walk(ABOVE, *jitter, end=False) == []
    assert told(street.walk(BELOW, end=False)) == ["line_cross in"]


def test_jitter_on_the_line_that_goes_back_where_it_came_from_counts_nothing() -> None:
    street = Street(lines={"door": ACROSS})

    assert street.walk(ABOVE, *[(0.5, 0.5 + 0.004 * (-1) ** i) for i in range(50)], ABOVE) == []


def test_an_object_that_stands_on_the_line_from_birth_to_end_counts_nothing() -> None:
    street = Street(lines={"door": ACROSS})

    assert street.walk(*[(0.5, 0.5 + 0.004 * (-1) ** i) for i in range(50)]) == []
    assert street.walk(*[(0.5, 0.5 + 0.004 * (-1) ** i) for i in range(51)], track=2) == []


def test_a_track_that_ends_before_it_is_clear_of_the_line_still_counts() -> None:
    street = Street(lines={"door": ACROSS})

    (event,) = street.walk(ABOVE, (0.5, 0.504))

    assert told([event]) == ["line_cross in"]
    assert event.detail["reason"] == "ended"
    assert street.count("door", "in", "person") == 1


def test_without_clearance_a_crossing_counts_at_once() -> None:
    street = Street(lines={"door": Line(ACROSS.points, clearance=0)})

    assert told(street.walk(ABOVE, (0.5, 0.504), (0.5, 0.496), end=False)) == ["line_cross in", "line_cross out"]


@pytest.mark.parametrize("clearance", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(
    ("spots", "ways"),
    [
        ([ABOVE, ON, BELOW], ["line_cross in"]),
        ([ABOVE, ON, ON, ON, BELOW], ["line_cross in"]),
        ([ABOVE, ON, ABOVE], []),
        ([BELOW, ON, BELOW], []),
        ([BELOW, ON, ABOVE], ["line_cross out"]),
        ([ABOVE, (0.3, 0.5), (0.4, 0.5), (0.6, 0.5), BELOW], ["line_cross in"]),  # walks along it
        ([ABOVE, (0.6, 0.5), (0.3, 0.5), (0.6, 0.5), ABOVE], []),
        ([BELOW, (0.6, 0.5), (0.3, 0.5), BELOW], []),
        ([(0.25, 0.3), (0.25, 0.7)], ["line_cross in"]),  # through the point that joins two segments
        ([(0.25, 0.3), (0.25, 0.5), (0.25, 0.7)], ["line_cross in"]),  # and stops on it
        ([(0.25, 0.7), (0.25, 0.5), (0.25, 0.3)], ["line_cross out"]),
        ([(0.25, 0.3), (0.25, 0.5), (0.25, 0.3)], []),
    ],
)
def test_a_path_that_touches_the_line_counts_as_often_as_it_gets_across(
    spots: list[Spot], ways: list[str], clearance: float
) -> None:
    line = Line(((0.0, 0.5), (0.25, 0.5), (1.0, 0.5)), clearance=clearance)

    assert told(Street(lines={"door": line}).walk(*spots)) == ways


def test_a_track_born_on_the_line_counts_what_it_does_next_at_most_once() -> None:
    down, up = Street(lines={"door": ACROSS}), Street(lines={"door": ACROSS})

    total = told(down.walk(ON, BELOW)) + told(up.walk(ON, ABOVE))

    assert len(total) == 1  # one of the two sides is where it was taken to be


@pytest.mark.parametrize(
    ("spots", "net"),
    [
        ([(0.5, 0.25), (0.5, 0.9)], 1),  # out of the V through its tip: from the left hand to the right
        ([(0.5, 0.25), (0.5, 0.75), (0.5, 0.9)], 1),  # with a stop on the tip
        ([(0.5, 0.9), (0.5, 0.75), (0.5, 0.9)], 0),  # touches the tip from below
        ([(0.5, 0.25), (0.5, 0.75), (0.5, 0.25)], 0),  # and from within
        ([(0.125, 0.75), (0.875, 0.75)], 0),  # passes under it, touching
    ],
)
def test_the_tip_of_a_sharp_corner_is_crossed_once_or_not_at_all(spots: list[Spot], net: int) -> None:
    street = Street(lines={"door": Line(((0.25, 0.25), (0.5, 0.75), (0.75, 0.25)))})

    events = told(street.walk(*spots))

    assert street.count("door", "in") - street.count("door", "out") == net
    assert len(events) == abs(net)


def test_while_a_track_is_not_seen_it_crosses_nothing_and_then_once() -> None:
    street = Street(lines={"door": ACROSS})
    street.see(tracks({1: ABOVE}))
    for y in np.linspace(0.3, 0.9, 20):
        street.see(tracks({1: (0.5, float(y))}, unseen=[1]))
    assert street.events == []

    street.see(tracks({1: BELOW}))

    assert told(street.events) == ["line_cross in"]


def test_a_guess_beyond_the_line_that_was_wrong_counts_nothing() -> None:
    street = Street(lines={"door": ACROSS})

    street.see(tracks({1: ABOVE}))
    street.see(tracks({1: BELOW}, unseen=[1]))
    street.see(tracks({1: BELOW}, unseen=[1]))
    street.see(tracks({1: ABOVE}))
    street.see(tracks({1: BELOW}, unseen=[1]))
    street.see(Tracks.empty(), ended=[1])

    assert street.events == []


def test_a_track_that_was_not_looked_for_crosses_nothing_where_it_is_expected() -> None:
    street = Street(lines={"door": ACROSS})

    street.see(tracks({1: ABOVE}))
    for _ in range(10):
        street.see(tracks({1: BELOW}, unlooked=[1]))
    assert street.events == []
    street.see(tracks({1: ABOVE}))
    street.see(tracks({1: BELOW}, unlooked=[1]))
    assert told(street.walk(BELOW)) == ["line_cross in"]


def test_a_track_that_is_not_reported_during_a_gap_crosses_once_when_it_is_back() -> None:
    street = Street(lines={"door": ACROSS})
    street.see(tracks({1: ABOVE}))
    for _ in range(15):
        street.see(Tracks.empty())

    assert told(street.walk(BELOW)) == ["line_cross in"]


@pytest.mark.parametrize("step", [1, 2, 3, 10])
def test_people_of_a_real_street_are_counted_the_same_in_every_nth_frame(data_dir: Path, step: int) -> None:
    """PETS09-S2L1, 19 people as annotated, 7 frames a second; the oracle is on which side of the line feet are."""
    rows = np.loadtxt(
        data_dir / "tracking" / "PETS09-S2L1.gt.txt", delimiter=","
    )  # frame, id, left, top, width, height
    rows = rows[(rows[:, 0] - 1) % step == 0]
    size, line = (768, 576), 0.45
    street = Street(lines={"across": Line(((0.0, line), (1.0, line)))}, fps=7 / step)
    for frame in np.unique(rows[:, 0]):
        now = rows[rows[:, 0] == frame]
        feet = zip((now[:, 2] + now[:, 4] / 2) / size[0], (now[:, 3] + now[:, 5]) / size[1], strict=True)
        street.see(tracks(dict(zip(now[:, 1].astype(int), feet, strict=True)), size=size), size=size)
    street.see(Tracks.empty(), ended=[int(number) for number in np.unique(rows[:, 1])])

    changes = [np.diff((r[:, 3] + r[:, 5] >= line * size[1]).astype(int)) for r in _by_person(rows)]
    assert street.count("across", "in") == sum((change > 0).sum() for change in changes) == 13
    assert street.count("across", "out") == sum((change < 0).sum() for change in changes) == 18


def _by_person(rows: Array) -> list[Array]:
    return [rows[rows[:, 1] == number] for number in np.unique(rows[:, 1])]


def test_labels_that_a_line_does_not_name_do_not_count() -> None:
    street = Street(lines={"cars": Line(ACROSS.points, labels=("car",)), "any": ACROSS})

    for spot in (ABOVE, BELOW):
        street.see(tracks({1: spot, 2: spot}, class_id={1: 0, 2: 1}))
    street.see(Tracks.empty(), ended=[1, 2])

    assert {(event.source, event.track_id) for event in street.events} == {("any", 1), ("any", 2), ("cars", 2)}
    assert street.count("cars", "in") == 1
    assert street.count("any", "in", "person") == street.count("any", "in", "car") == 1


def test_lines_of_different_anchors_see_the_same_track_at_different_moments() -> None:
    lines = {"feet": ACROSS, "head": Line(ACROSS.points, anchor="top_center")}
    street = Street(lines=lines)

    walked = [street.walk((0.5, y), end=False) for y in (0.45, 0.54, 0.65)]  # the box is 0.083 high

    assert [[event.source for event in events] for events in walked] == [[], ["feet"], ["head"]]
