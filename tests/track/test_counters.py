"""Counters: nothing that was told is forgotten, and who asks hears of every change."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.areas import Line, Zone
from agent.track.counters import Counter, Counters
from agent.track.zones import Zones
from tests.track.doors import STREET_DOOR, door
from tests.track.walks import LABELS, SIZE, SQUARE, tracks


def test_counts_survive_a_restart_by_camera_name_label_and_direction(tmp_path: Path) -> None:
    with Counters(tmp_path) as counters:
        counters.declare("street", "door")
        counters.declare("yard", "door")
        for camera, label, way, n in (
            ("street", "person", "in", 3),
            ("street", "car", "in", 2),
            ("yard", "car", "out", 1),
        ):
            for _ in range(n):
                counters.add(camera, "door", label, way)
        told = counters.counts()

    with Counters(tmp_path) as counters:
        counters.declare("street", "door")
        counters.declare("yard", "door")

        assert counters.counts() == told
        assert told["street", "door", "all", "in"] == 5
        assert told["yard", "door", "all", "out"] == 1
        assert counters.add("street", "door", "person", "in") == (4, 6)


def test_counts_start_at_0_for_what_was_declared(tmp_path: Path) -> None:
    counters = Counters()
    counters.declare("street", "door")
    counters.declare("street", "yard", is_zone=True)

    assert counters.counts() == {("street", name, "all", way): 0 for name in ("door", "yard") for way in ("in", "out")}
    assert counters.occupancy() == {("street", "yard", "all"): 0}


def test_what_no_config_names_any_more_is_kept_but_not_told(tmp_path: Path) -> None:
    with door(tmp_path) as counters:
        counters.add(*STREET_DOOR, "person", "in")

    with Counters(tmp_path) as counters:
        assert counters.counts() == {}
        counters.declare("street", "gate")
        counters.add("street", "gate", "person", "in")

        assert counters.changes()[1].keys() == {
            Counter("street", "gate", *of) for of in (("all", "in"), ("all", "out"), ("person", "in"))
        }

    with door(tmp_path) as counters:
        assert counters.reset("gate") == 2
        assert counters.counts() == {
            ("street", "door", "person", "in"): 1,
            ("street", "door", "all", "in"): 1,
            ("street", "door", "all", "out"): 0,
        }


def test_occupancy_is_of_this_run_only(tmp_path: Path) -> None:
    for _ in range(2):
        with Counters(tmp_path) as counters:
            zones = Zones("street", {"yard": Zone(SQUARE, enter_s=0)}, {}, counters)
            assert counters.occupancy() == {("street", "yard", "all"): 0}
            zones.update(tracks({1: (0.5, 0.5)}), LABELS, SIZE, t=0.0, seq=0)
            assert counters.occupancy() == {("street", "yard", "all"): 1, ("street", "yard", "person"): 1}
    assert counters.counts()["street", "yard", "person", "in"] == 2


def test_a_label_that_left_is_told_as_0_once_and_then_no_more() -> None:
    counters = Counters()
    counters.declare("street", "yard", is_zone=True)
    counters.occupy("street", "yard", {"person": 2})
    revision, _ = counters.changes()

    counters.occupy("street", "yard", {})
    revision, changed = counters.changes(revision)
    counters.occupy("street", "yard", {})

    assert {(key.label, key.way): n for key, n in changed.items()} == {("person", "inside"): 0, ("all", "inside"): 0}
    assert counters.changes(revision) == (revision, {})


def test_each_asker_hears_of_every_change_since_it_asked_last() -> None:
    counters = door()
    early, everything = counters.changes()
    assert set(everything) == {Counter(*STREET_DOOR, "all", way) for way in ("in", "out")}

    counters.add(*STREET_DOOR, "person", "in")
    later, changed = counters.changes(early)
    assert changed == {Counter(*STREET_DOOR, "person", "in"): 1, Counter(*STREET_DOOR, "all", "in"): 1}

    counters.add(*STREET_DOOR, "car", "out")
    assert set(counters.changes(later)[1]) == {Counter(*STREET_DOOR, label, "out") for label in ("car", "all")}
    assert len(counters.changes(early)[1]) == 4  # who asks less often gets both
    assert counters.changes(counters.changes()[0])[1] == {}


def test_reset_is_told_kept_and_of_one_camera_if_asked(tmp_path: Path) -> None:
    with door(tmp_path) as counters:
        counters.declare("yard", "door")
        for camera in ("street", "yard"):
            counters.add(camera, "door", "person", "in")
        revision, _ = counters.changes()

        assert counters.reset("door", "street") == 2
        assert set(counters.changes(revision)[1].values()) == {0}
        assert counters.reset("window") == 0

    with door(tmp_path) as counters:
        counters.declare("yard", "door")
        counts = counters.counts()
    assert counts["street", "door", "all", "in"] == counts["street", "door", "person", "in"] == 0
    assert counts["yard", "door", "all", "in"] == counts["yard", "door", "person", "in"] == 1


def test_reset_leaves_who_is_inside() -> None:
    counters = Counters()
    counters.declare("street", "yard", is_zone=True)
    counters.occupy("street", "yard", {"person": 2})

    counters.reset("yard")

    assert counters.occupancy()["street", "yard", "all"] == 2


def test_a_model_whose_label_is_all_is_not_taken_for_the_sum(tmp_path: Path) -> None:
    for _ in range(2):
        with door(tmp_path) as counters:
            counters.add(*STREET_DOOR, "all", "in")
            counters.add(*STREET_DOOR, "person", "in")

    assert {label: n for (*_, label, way), n in counters.counts().items() if way == "in"} == {
        "all": 4,
        "all_": 2,
        "person": 2,
    }


def test_another_thread_may_ask_while_one_counts(tmp_path: Path) -> None:
    counters, done, wrong = door(tmp_path), threading.Event(), []

    def ask() -> None:
        revision, seen = 0, 0
        while not done.is_set():
            revision, changed = counters.changes(revision)
            now = changed.get(Counter(*STREET_DOOR, "all", "in"), seen)
            parts = sum(n for key, n in counters.counts().items() if key[2:] in (("person", "in"), ("car", "in")))
            if now < seen or parts < now:
                wrong.append((seen, now, parts))
            seen = now

    asker = threading.Thread(target=ask)
    asker.start()
    for n in range(5000):
        counters.add(*STREET_DOOR, ("person", "car")[n % 2], "in")
    done.set()
    asker.join()
    counters.close()

    assert wrong == []
    assert counters.counts()[*STREET_DOOR, "all", "in"] == 5000


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(LABELS), st.sampled_from(["in", "out", "reset"])))
)
def test_after_any_history_and_a_restart_all_is_the_sum_of_the_labels(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, str, str]]
) -> None:
    folder, expected = tmp_path_factory.mktemp("counts"), dict[tuple[str, str, str], int]()
    for run in range(2):
        with Counters(folder) as counters:
            for name in ("a", "b"):
                counters.declare("street", name)
            for name, label, way in history if run == 0 else ():
                if way == "reset":
                    counters.reset(name)
                    expected = {key: 0 if key[0] == name else n for key, n in expected.items()}
                else:
                    counters.add("street", name, label, way)
                    expected[name, label, way] = expected.get((name, label, way), 0) + 1
            told = counters.counts()
        for (_, name, label, way), n in told.items():
            parts = [m for (a, b, c), m in expected.items() if (a, c) == (name, way) and label in ("all", b)]
            assert n == sum(parts)
        assert all(told["street", *key] == n for key, n in expected.items())


def test_lines_and_zones_of_one_camera_count_in_the_same_book(tmp_path: Path) -> None:
    with Counters(tmp_path) as counters:
        zones = Zones(
            "street", {"yard": Zone(SQUARE, enter_s=0, exit_s=0)}, {"door": Line(((0, 0.4), (1, 0.4)))}, counters
        )
        for seq, y in enumerate((0.1, 0.5, 0.9)):
            zones.update(tracks({1: (0.5, y)}), LABELS, SIZE, t=seq / 10, seq=seq)

    assert {key[1:]: n for key, n in counters.counts().items() if n and key[2] != "all"} == {
        ("yard", "person", "in"): 1,
        ("yard", "person", "out"): 1,
        ("door", "person", "in"): 1,
    }
