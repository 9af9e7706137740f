"""Zones: who stands where, who entered, who left, and what is remembered of it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.areas import Line, Zone
from agent.data import Tracks
from tests.track.drawn import EIGHTHS
from tests.track.walks import SIZE, SQUARE, Spot, Street, told, tracks

INSIDE, OUTSIDE = (0.5, 0.5), (0.1, 0.5)
AT_ONCE = Zone(SQUARE, enter_s=0, exit_s=0)


def test_rows_of_inside_are_zones_in_the_order_of_the_config_and_columns_are_tracks() -> None:
    left = Zone(((0, 0), (0.5, 0), (0.5, 1), (0, 1)), enter_s=0)
    right = Zone(((0.5, 0), (1, 0), (1, 1), (0.5, 1)), enter_s=0)
    street = Street({"right": right, "left": left})

    street.see(tracks({7: (0.1, 0.5), 3: (0.9, 0.5), 5: (0.2, 0.5)}))

    assert street.inside.dtype == np.bool_
    assert street.inside.tolist() == [[False, True, False], [True, False, True]]


def test_without_zones_nothing_happens_and_inside_has_no_rows() -> None:
    street = Street()

    assert street.walk(INSIDE, OUTSIDE, end=False) == []
    assert street.inside.shape == (0, 1)
    assert len(street.zones) == 0


def test_lines_alone_give_an_inside_without_rows() -> None:
    street = Street(lines={"door": Line(((0, 0.5), (1, 0.5)))})

    street.see(tracks({1: INSIDE, 2: OUTSIDE}))

    assert street.inside.shape == (0, 2)


def test_a_track_enters_after_enter_s_inside_and_leaves_after_exit_s_outside() -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=0.5, exit_s=1.0)})

    street.walk(OUTSIDE, *[INSIDE] * 20, *[OUTSIDE] * 20, end=False)

    enter, leave = street.events
    assert (enter.kind, enter.t, enter.track_id, enter.source) == ("zone_enter", 0.6, 1, "yard")
    assert enter.detail == {"label": "person", "inside_s": 0.5, "enter_s": 0.5, "count": 1, "count_all": 1}
    assert (leave.kind, leave.t, leave.seq) == ("zone_exit", 3.1, 31)
    assert leave.detail["reason"] == "left"
    assert leave.detail["outside_s"] == pytest.approx(1.0)
    assert leave.detail["dwell_s"] == pytest.approx(2.0)  # seen inside from 0.1 s, outside from 2.1 s


@pytest.mark.parametrize("fps", [2, 3, 4, 7, 10, 30, 120])
def test_hysteresis_is_in_seconds_at_any_frame_rate(fps: float) -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=1.0, exit_s=2.0)}, fps=fps)

    street.walk(*[OUTSIDE] * fps, *[INSIDE] * 5 * fps, *[OUTSIDE] * 5 * fps, end=False)

    assert [(event.kind, event.t) for event in street.events] == [("zone_enter", 2.0), ("zone_exit", 8.0)]


def test_a_stay_of_exactly_the_patience_is_enough_however_the_clock_rounds() -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=0.3)})

    street.walk(*[OUTSIDE] * 4, *[INSIDE] * 10, end=False)  # 0.7 - 0.4 is less than 0.3 for a computer

    assert [event.seq for event in street.events] == [7]


def test_after_an_enter_the_patience_to_leave_begins_anew() -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=1.0, exit_s=0.5)})

    street.walk(*[INSIDE] * 11, *[OUTSIDE] * 3, *[INSIDE] * 3, *[OUTSIDE] * 6, end=False)

    assert [(event.kind, event.seq) for event in street.events] == [("zone_enter", 10), ("zone_exit", 22)]


def test_swaying_over_an_edge_faster_than_the_hysteresis_is_neither_enter_nor_exit() -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=0.5, exit_s=0.5)})

    street.walk(*[OUTSIDE, INSIDE] * 20, end=False)
    assert street.events == []

    street.walk(*[INSIDE] * 6, *[OUTSIDE, INSIDE] * 20, end=False)
    assert told(street.events) == ["zone_enter"]


def test_a_track_born_inside_enters() -> None:
    street = Street({"yard": AT_ONCE})

    assert told(street.walk(INSIDE, end=False)) == ["zone_enter"]
    assert street.inside.tolist() == [[True]]


def test_a_track_that_ends_inside_is_lost_there_with_its_dwell_until_last_seen() -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=0.2)})
    street.walk(*[INSIDE] * 11, end=False)
    for _ in range(20):
        street.see(tracks({1: INSIDE}, unseen=[1]))
    (event,) = street.see(Tracks.empty(), ended=[1])

    assert event.kind == "zone_exit"
    assert event.detail["reason"] == "lost"
    assert event.detail["dwell_s"] == pytest.approx(1.0)


def test_a_track_that_ends_just_after_it_walked_out_has_left() -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=0, exit_s=5)})

    *_, event = street.walk(*[INSIDE] * 10, OUTSIDE, OUTSIDE)

    assert event.kind == "zone_exit"
    assert event.detail["reason"] == "left"
    assert event.detail["dwell_s"] == pytest.approx(1.0)


def test_a_track_that_ends_before_it_entered_was_never_there() -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=5)})

    assert street.walk(*[INSIDE] * 10) == []
    assert street.count("yard", "in") == street.count("yard", "out") == 0


def test_a_guessed_position_neither_enters_nor_leaves() -> None:
    street = Street({"yard": AT_ONCE})

    street.see(tracks({1: OUTSIDE}))
    for _ in range(30):
        street.see(tracks({1: INSIDE}, unseen=[1]))
    assert street.events == []

    street.see(tracks({1: INSIDE}))
    for _ in range(30):
        street.see(tracks({1: OUTSIDE}, unseen=[1]))
    assert told(street.events) == ["zone_enter"]
    assert street.inside.tolist() == [[True]]


def test_a_track_that_was_not_looked_for_stands_where_it_was_last_observed() -> None:
    """An object that stands still is not looked at for many seconds; it has entered all the same."""
    street = Street({"yard": Zone(SQUARE, enter_s=0.5, exit_s=0.5)})

    street.see(tracks({1: INSIDE}))
    for _ in range(30):
        street.see(tracks({1: OUTSIDE}, unlooked=[1]))  # where it would be if it had walked on
    assert [(event.kind, event.t) for event in street.events] == [("zone_enter", 0.5)]

    street.see(tracks({1: OUTSIDE}))
    for _ in range(5):
        street.see(tracks({1: INSIDE}, unlooked=[1]))
    assert [(event.kind, event.seq) for event in street.events[1:]] == [("zone_exit", 36)]


def test_a_track_that_is_not_reported_for_a_while_is_still_where_it_was() -> None:
    street = Street({"yard": AT_ONCE})
    street.walk(INSIDE, end=False)

    for _ in range(30):
        street.see(Tracks.empty())
    assert street.counters.occupancy()["street", "yard", "all"] == 1
    street.walk(INSIDE, end=False)

    assert told(street.events) == ["zone_enter"]


def test_labels_that_a_zone_does_not_name_do_not_enter_it() -> None:
    street = Street({"cars": Zone(SQUARE, labels=("car",), enter_s=0), "any": Zone(SQUARE, enter_s=0)})

    events = street.see(tracks({1: INSIDE, 2: INSIDE, 3: INSIDE}, class_id={1: 0, 2: 1, 3: 9}))

    assert {(event.source, event.track_id, event.detail["label"]) for event in events} == {
        ("cars", 2, "car"),
        ("any", 1, "person"),
        ("any", 2, "car"),
        ("any", 3, "9"),  # a class that the model's card does not name
    }


def test_labels_follow_the_model_when_it_changes() -> None:
    street = Street({"cars": Zone(SQUARE, labels=("car",), enter_s=0)})
    street.see(tracks({1: INSIDE}))

    _, events = street.zones.update(tracks({1: INSIDE}), ("car", "person"), SIZE, t=1.0, seq=1)

    assert [(event.kind, event.detail["label"]) for event in events] == [("zone_enter", "car")]


def test_a_label_that_flickers_shorter_than_exit_s_does_not_leave() -> None:
    street = Street({"cars": Zone(SQUARE, labels=("car",), enter_s=0, exit_s=0.5)})

    for class_id in (1, 1, 0, 0, 1, 1):
        street.see(tracks({1: INSIDE}, class_id=class_id))

    assert told(street.events) == ["zone_enter"]


def test_occupancy_follows_the_label_that_a_track_has_now() -> None:
    street = Street({"yard": AT_ONCE})

    street.see(tracks({1: INSIDE, 2: INSIDE}, class_id=2))
    street.see(tracks({1: INSIDE, 2: INSIDE}, class_id={1: 1, 2: 2}))

    assert street.counters.occupancy() == {
        ("street", "yard", "all"): 2,
        ("street", "yard", "car"): 1,
        ("street", "yard", "dog"): 1,
    }


def test_tracks_that_come_and_go_leave_nothing_behind() -> None:
    street = Street({"yard": AT_ONCE}, {"door": Line(((0, 0.4), (1, 0.4)))})
    rows = []
    for track in range(0, 3000, 3):
        street.see(tracks(dict.fromkeys(range(track, track + 3), INSIDE)), ended=range(track - 3, track))
        rows.append(len(street.zones._memory._records))

    assert len(street.zones) == 3
    assert set(rows) == {rows[0]}
    street.see(Tracks.empty(), ended=[2997, 2998, 2999, 123456])
    assert len(street.zones) == 0
    assert street.count("yard", "in") == street.count("yard", "out") == 3000


def test_an_id_that_a_record_is_used_again_for_starts_afresh() -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=0.3)}, {"door": Line(((0, 0.4), (1, 0.4)))})
    street.walk(*[INSIDE] * 10, track=1)
    street.events.clear()

    street.walk((0.5, 0.3), track=2)  # above the line that track 1 stood below, in its record

    assert street.events == []


def test_more_tracks_than_there_were_ever_before_find_room() -> None:
    street = Street({"yard": AT_ONCE})

    street.see(tracks({i: INSIDE if i % 2 else OUTSIDE for i in range(1, 6)}))
    street.see(tracks({i: INSIDE if i % 2 else OUTSIDE for i in range(1, 101)}))

    assert street.inside.tolist() == [[i % 2 == 1 for i in range(1, 101)]]
    assert street.counters.occupancy()["street", "yard", "all"] == 50


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.integers(1, 6), st.tuples(EIGHTHS, st.integers(0, 2), st.booleans()), max_size=6),
            st.sets(st.integers(1, 6)),
        ),
        max_size=25,
    ),
    st.sampled_from([0.0, 0.15, 0.3]),
)
def test_entered_minus_left_is_the_occupancy_and_the_number_of_events(
    frames: list[tuple[dict[int, tuple[Spot, int, bool]], set[int]]], patience: float
) -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=patience, exit_s=patience), "low": Zone(((0, 1), (1, 0), (1, 1)))})
    for rows, ended in frames:
        seen = tracks(
            {i: spot for i, (spot, _, _) in rows.items() if i not in ended},
            unseen=[i for i, (_, _, unseen) in rows.items() if unseen],
            class_id={i: class_id for i, (_, class_id, _) in rows.items()},
        )
        street.see(seen, ended=sorted(ended))

        for zone, inside in zip(("yard", "low"), street.inside, strict=True):
            occupancy = street.counters.occupancy()
            assert street.count(zone, "in") - street.count(zone, "out") == occupancy["street", zone, "all"]
            assert sum(n for key, n in occupancy.items() if key[1] == zone) == 2 * occupancy["street", zone, "all"]
            assert inside.sum() <= occupancy["street", zone, "all"]
    street.see(Tracks.empty(), ended=range(1, 7))

    assert not any(street.counters.occupancy().values())
    entered = sum(event.kind == "zone_enter" for event in street.events)
    assert entered == len(street.events) / 2 == street.count("yard", "in") + street.count("low", "in")


def test_details_can_be_written_as_json() -> None:
    street = Street({"yard": AT_ONCE}, {"door": Line(((0, 0.4), (1, 0.4)))})

    street.walk((0.5, 0.3), INSIDE, OUTSIDE, INSIDE)

    assert {event.kind for event in street.events} == {"zone_enter", "zone_exit", "line_cross"}
    for event in street.events:
        assert msgspec.json.decode(msgspec.json.encode(event.detail)) == event.detail
