"""Every kind keeps the contract; one that fails costs only itself; configs name what is wrong with them."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent import config, plugins
from agent.anomalies import Anomalies, Anomaly, Place, create
from agent.data import Event, Frame, Scene, Strange
from tests.anomalies.walks import Walk, World, stand, straight

LEAST: dict[str, dict[str, Any]] = {
    "speeding": {"limit": 0.2},
    "wrong_way": {"direction": ((0.0, 0.5), (1.0, 0.5))},
    "novelty": {"file": Path("place.tflite")},
}
KINDS = plugins.names("anomalies")
RULES = [kind for kind in ("loitering", "crowding", "speeding", "wrong_way", "intrusion") if kind in KINDS]


class _Calm:
    """A second model to which nothing is strange."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def ask(self, frame: Frame) -> bool:
        self.frame = frame
        return True

    def answer(self) -> Strange:
        return Strange(self.frame.t, (0.0, 0.0, 8.0, 8.0), 0.5, 4.0, (0.5, 3.0), np.zeros((2, 2), np.float32))


def made(kind: str, world: World) -> Anomaly:
    place = dataclasses.replace(world.place(kind), second=_Calm)
    return create(plugins.get("anomalies", kind).Options(**LEAST.get(kind, {})), place)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_silent_where_nothing_happens_and_says_what_it_is(kind: str) -> None:
    world = World([], seconds=4.0)
    anomaly = made(kind, world)

    assert [event for scene in world.scenes() for event in anomaly.update(scene)] == []
    assert 0.0 <= anomaly.score <= 0.5
    anomaly.close()
    assert len(plugins.get("anomalies", kind).__doc__ or "") > 200  # a drawing, not a label


def crowded(updates: int, tracks: int = 250) -> World:
    """Tracks that come and go, `tracks` at a time: so many updates of tracks in all."""
    frames = updates // tracks
    dice = np.random.default_rng(0)
    walks = [
        Walk(straight(tuple(dice.uniform(0, 1, 2)), tuple(dice.normal(0, 0.05, 2))), begin, begin + 4.0)
        for begin in np.arange(0, frames / 5.0, 4.0)
        for _ in range(tracks)
    ]
    return World(walks, fps=5.0, seconds=frames / 5.0)


@pytest.mark.parametrize("kind", RULES)
def test_what_is_remembered_does_not_grow_with_time(kind: str) -> None:
    """LOOKOUT_SOAK=1 makes it 10⁶ updates of tracks for each kind."""
    updates = 1_000_000 if os.environ.get("LOOKOUT_SOAK") else 40_000
    world, sizes = crowded(updates), []
    anomaly = made(kind, world)
    for scene in world.scenes():
        anomaly.update(scene)
        sizes.append(len(pickle.dumps(anomaly)) if scene.frame.seq % 20 == 19 else 0)
    sizes = [size for size in sizes if size]
    begin, end = sizes[1 : len(sizes) // 2], sizes[len(sizes) // 2 :]

    assert max(end) <= 1.2 * max(begin)
    assert max(end) < 1 << 20


class _Broken(Anomaly):
    def update(self, scene: Scene) -> list[Event]:
        raise ZeroDivisionError(scene.frame.seq)

    def close(self) -> None:
        raise OSError


def test_one_that_raises_costs_only_itself_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World([Walk(stand(0.2, 0.8))], seconds=4.0)
    both = Anomalies([(plugins.get("anomalies", "loitering").Options(dwell_s=1.0), world.place("loitering"))])
    both._all = {"broken": _Broken(), **both._all}
    both._complained["broken"] = float("-inf")
    with caplog.at_level(logging.ERROR):
        looked = [both.look(scene) for scene in world.scenes()]
        both.close()

    assert [event.kind for scene in looked for event in scene.anomalies] == ["anomaly_start"]
    assert len([record for record in caplog.records if "unexpected" in record.message]) == 1


def test_a_scene_gets_what_was_found_the_strongest_score_and_what_it_took() -> None:
    world = World([Walk(stand(0.2, 0.8))], seconds=4.0)
    options = plugins.get("anomalies", "loitering").Options
    two = [(options(dwell_s=dwell), world.place(name)) for dwell, name in ((1.0, "loitering"), (9.0, "loitering"))]
    *_, last = map(Anomalies([two[0]]).look, world.scenes())

    assert last.anomaly_score == pytest.approx(3.8 / 4.8)
    assert last.times["anomalies"] > 0
    assert Anomalies([]).look(last) is last


class _Slow(Anomaly):
    every_s = 0.2

    def __init__(self) -> None:
        self.asked, self.heard = list[float](), list[int]()

    def update(self, scene: Scene) -> list[Event]:
        self.asked.append(scene.frame.t)
        self.heard += [event.seq for event in scene.events]
        return []


@pytest.mark.parametrize(("fps", "every"), [(15.0, 3), (10.0, 2), (5.0, 1), (2.0, 1)])
def test_one_that_wants_few_frames_gets_those_and_hears_of_all_that_happened(fps: float, every: int) -> None:
    world = World([Walk(stand(0.2, 0.8))], fps=fps, seconds=4.0)
    watched, slow = Anomalies([]), _Slow()
    watched._all = {"slow": slow}
    scenes = list(world.scenes())
    for scene in scenes:
        watched.look(
            dataclasses.replace(scene, events=(Event("line_cross", scene.frame.t, scene.frame.seq, "gate", 1, {}),))
        )
    assert slow.asked == [scene.frame.t for scene in scenes[::every]]
    assert slow.heard == list(range(every * (len(slow.asked) - 1) + 1))


CAMERA = """[cameras.yard]
kind = "synthetic"
[cameras.yard.zones.porch]
polygon = [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]]
[cameras.yard.lines.gate]
points = [[0.2, 0.6], [0.8, 0.6]]
"""
ERRORS = {
    "[cameras.yard.anomalies.nosuch]": "8: cameras.yard.anomalies.nosuch.kind has no 'nosuch'; there are: abandoned, ",
    '[cameras.yard.anomalies.a]\nkind = "loitering"\nzones = ["door"]': (
        "10: cameras.yard.anomalies.a.zones names 'door'; there are: porch"
    ),
    '[cameras.yard.anomalies.wrong_way]\nlines = ["door"]': (
        "9: cameras.yard.anomalies.wrong_way.lines names 'door'; there are: gate"
    ),
    '[cameras.yard.anomalies.intrusion]\nwhen = ["8-9"]': (
        '9: cameras.yard.anomalies.intrusion.when[0] must be days, hours or both, as "mon-fri 22:00-06:00"'
    ),
    "[cameras.yard.anomalies.loitering]\ndwel_s = 3": (
        "9: cameras.yard.anomalies.loitering.dwel_s is not a known key; did you mean 'dwell_s'?"
    ),
    "[cameras.yard.anomalies.speeding]": "8: cameras.yard.anomalies.speeding.limit is missing",
    "[cameras.yard.anomalies.wrong_way]": "8: cameras.yard.anomalies.wrong_way needs lines, or a direction",
    "[cameras.yard]\nanomalies = 3": "not TOML",
}


@pytest.mark.parametrize("text", ERRORS)
def test_what_is_wrong_with_a_config_is_told_with_its_line(text: str) -> None:
    with pytest.raises(config.ConfigError) as told:
        config.parse(CAMERA + "\n" + text, Path("agent.toml"))

    assert ERRORS[text] in str(told.value)


def test_a_config_types_each_anomaly_by_its_kind() -> None:
    text = '[cameras.yard.anomalies.night]\nkind = "intrusion"\nzones = ["porch"]\nwhen = ["22:00-06:00"]'
    (night,) = config.parse(CAMERA + text, Path("agent.toml")).cameras["yard"].anomalies.values()

    assert night.kind == "intrusion"
    assert night.options == plugins.get("anomalies", "intrusion").Options(zones=("porch",), when=("22:00-06:00",))


def test_a_time_zone_that_is_not_known_is_told() -> None:
    with pytest.raises(config.ConfigError, match="1: time_zone 'Europe/Nowhere' is not one of this machine's"):
        config.parse('time_zone = "Europe/Nowhere"\n' + CAMERA, Path("agent.toml"))


def test_the_local_time_of_a_place_is_its_zone_s() -> None:
    place = Place("yard", "a", "a", wall=lambda t: 1_780_000_000.0 + t, time_zone=None)

    assert place.local(0.0).timestamp() == 1_780_000_000.0
    assert place.label(3) == "3"
    assert list(itertools.islice(plugins.names("anomalies"), 1)) == ["abandoned"]


def test_what_goes_on_when_nobody_watches_any_more_is_ended() -> None:
    world = World([Walk(stand(0.5, 0.5), 0.0, 60.0)], seconds=60.0)
    options = plugins.get("anomalies", "loitering").Options(dwell_s=5.0)
    watched = Anomalies([(options, world.place("loitering"))])
    told = [event for scene in world.scenes() for event in watched.look(scene).anomalies]
    assert [event.kind for event in told] == ["anomaly_start"]

    (end,) = watched.cut_off("the config was changed")

    assert (end.kind, end.source, end.detail["episode"]) == ("anomaly_end", "loitering", told[0].detail["episode"])
    assert end.detail["reason"] == f"the config was changed: {told[0].detail['reason']}"
    assert end.detail["lasted_s"] == pytest.approx(60.0 - told[0].t, abs=1.0)
    assert watched.cut_off("again") == ()
