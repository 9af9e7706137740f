"""A second look from the config to what the world hears: events, detections, topics, Home Assistant, health, page."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from agent import config
from agent.data import CameraState, Detections, Frame, Scene, Tracks
from agent.device.health import Health
from agent.pipeline import Pipeline, open_detector
from agent.publish import Live, Scope, wire
from agent.publish.payloads import Model
from agent.publish.publisher import _looks
from agent.publish.switches import Wanted
from agent.publish.topics import events, frigate, homeassistant, second
from agent.toml import ConfigError
from tests.detect.secondary import eyes
from tests.fakes.clock import FixedClock

SIZE = (320, 240)
TOML = """
device = "pi"
[cameras.yard]
kind = "synthetic"
[second.colour]
kind = "classify"
file = "colours.tflite"
labels = ["person"]
per_second = 5
[second.seeds]
kind = "count"
region = [0.5, 0.5, 1, 1]
per_second = 1
"""


class Eye:
    """Stands in for the detector: one person, always at the same place, until it is gone."""

    def __init__(self) -> None:
        self.model = SimpleNamespace(card=SimpleNamespace(labels=("person", "car"), confidence=0.5))
        self.seen, self.times, self.there = None, {"invoke": 1.0}, True

    def detect(self, camera: str, frame: Frame, _: Tracks) -> Detections:
        if not self.there:
            return Detections.empty()
        box = np.array([[40, 40, 100, 140]], np.float32)
        return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))

    def tune(self, *_: Any) -> None: ...

    def forget(self, *_: Any) -> None: ...


class World:
    """A pipeline that is fed by hand, and its scenes."""

    def __init__(self, folder: Path, text: str = TOML) -> None:
        eyes.classifier(folder / "colours.tflite")
        self.settings = config.parse(text, folder / "agent.toml")
        self.eye, self.scenes, self.wanted = Eye(), [], Wanted()
        self.pipeline = Pipeline(self.settings, self.eye, [self], wanted=lambda _: self.wanted)  # type: ignore[arg-type]
        self.n = 0

    def on_scene(self, scene: Scene) -> None:
        self.scenes.append(scene)

    def on_camera(self, state: CameraState) -> None: ...

    def show(self, colour: str, count: int, camera: str = "yard") -> list[Scene]:
        """So many frames, ten a second, in which the person wears that; seven seeds lie at the lower right."""
        begin = len(self.scenes)
        image = np.full((SIZE[1], SIZE[0], 3), 200, np.uint8)
        image[30:150, 30:110] = eyes.painter(colour, (80, 120))
        for seed in range(7):
            image[140 + 12 * seed : 148 + 12 * seed, 200 + 10 * seed : 208 + 10 * seed] = 40
        for _ in range(count):
            frame = Frame(image, self.n, self.n / 10)
            self.n += 1
            if self.pipeline._is_due(camera, frame):
                self.pipeline.look(camera, frame)
        return self.scenes[begin:]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def happened(scenes: list[Scene]) -> list[tuple[str, Any]]:
    return [
        (event.kind, {name: one["value"] for name, one in event.detail.get("recognised", {}).items()})
        for scene in scenes
        for event in scene.events
        if event.kind != "reading"
    ]


def test_a_track_gets_its_name_in_its_events_to_its_end(world: World) -> None:
    scenes = world.show("red", 20)
    world.eye.there = False
    scenes += world.show("red", 40)
    assert happened(scenes) == [
        ("track_start", {}),
        ("track_update", {"colour": "red"}),
        ("track_end", {"colour": "red"}),
    ]
    update = next(event for scene in scenes for event in scene.events if event.kind == "track_update")
    assert update.detail["recognised"]["colour"]["confidence"] > 0.9
    assert update.detail["recognised"]["colour"]["limit"] == 0.6
    assert scenes[-1].recognised == {}


def test_a_place_is_read_without_anybody_in_sight(world: World) -> None:
    world.eye.there = False
    scenes = world.show("grey", 30)
    assert scenes[-1].readings["seeds"].value == 7
    told = [event for scene in scenes for event in scene.events]
    assert [(event.kind, event.source, event.detail["value"]) for event in told] == [("reading", "seeds", 7.0)]


def test_what_second_looks_cost_the_loop_is_told_beside_the_other_stages(world: World) -> None:
    assert "second" in world.show("red", 1)[0].times


def test_without_a_second_section_a_scene_is_as_it_was(tmp_path: Path) -> None:
    world = World(tmp_path, TOML.split("[second.colour]")[0])
    scene = world.show("red", 10)[-1]
    assert (scene.recognised, scene.readings, "second" in scene.times) == ({}, {}, False)


def test_a_new_privacy_mask_takes_what_was_known_with_it(world: World) -> None:
    assert world.show("red", 10)[-1].recognised[1]["colour"].value == "red"
    world.wanted = Wanted(privacy_masks=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
    assert world.show("blue", 1)[0].recognised == {}


def test_a_reload_renews_what_it_changes_and_leaves_the_rest(world: World) -> None:
    world.show("red", 10)
    same = msgspec.structs.replace(world.settings, thermal=config.Thermal(enabled=False))
    world.pipeline.take_over(same, world.eye, [world], lambda _: world.wanted)  # type: ignore[arg-type]
    assert world.show("red", 1)[0].recognised[1]["colour"].value == "red"
    none = msgspec.structs.replace(same, second={})
    world.pipeline.take_over(none, world.eye, [world], lambda _: world.wanted)  # type: ignore[arg-type]
    scene = world.show("red", 2)[-1]
    assert (scene.recognised, scene.readings) == ({}, {})
    assert len(scene.tracks) == 1, "the track itself goes on"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            TOML.replace('["person"]', '["persom"]'),
            "agent.toml:7: second.colour.labels: 'persom' is not a label of ssdlite_mobilenet_v2_coco_int8",
        ),
        (
            TOML.replace("colours.tflite", "nix.tflite"),
            "agent.toml:4: second.colour: model {folder}/nix.tflite: No such file or directory",
        ),
    ],
)
def test_what_cannot_be_is_found_before_anything_begins(tmp_path: Path, text: str, complaint: str) -> None:
    eyes.classifier(tmp_path / "colours.tflite")
    path = tmp_path / "agent.toml"
    path.write_text(text.lstrip())
    with pytest.raises(ConfigError) as error:
        open_detector(config.load(path), path)
    assert complaint.format(folder=tmp_path) in str(error.value)


# ── What the world hears ──


def scope(world: World) -> Scope:
    looks = {name: one.about for name, one in world.settings.second.items()}
    sender = wire.Sender("pi", ("person", "car"), Model("ssd", "ab"), FixedClock(), second=looks)
    return Scope("lookout/pi", sender, ("yard",), second=_looks(world.settings))


def test_detections_say_who_it_is_and_how_many_lie_there(world: World) -> None:
    told = json.loads(wire.encode(wire.detections(world.show("green", 12)[-1], scope(world).sender)))
    assert told["tracks"][0]["recognised"]["colour"]["value"] == "green"
    assert told["readings"]["seeds"]["value"] == 7.0
    assert 0.9 < told["tracks"][0]["recognised"]["colour"]["confidence"] <= 1


def test_an_update_with_a_new_name_is_not_held_back(world: World) -> None:
    topic = events.create(events.Options(update_s=60), scope(world))
    told = [message for scene in world.show("red", 20) for message in topic.scene(scene)]
    assert [one.draft.kind for one in told if hasattr(one, "draft")] == ["track_start", "reading", "track_update"]


def test_each_new_name_and_each_look_at_a_place_has_a_message(world: World) -> None:
    topic = second.create(second.Options(), scope(world))
    told = [message for scene in world.show("red", 31) for message in topic.scene(scene)]
    assert all(isinstance(one, Live) and one.qos == 1 for one in told)
    of = {name: [json.loads(one.payload) for one in told if one.topic.endswith(name)] for name in ("colour", "seeds")}
    (colour,) = of["colour"]
    assert (colour["value"], colour["track"], colour["label"]) == ("red", 1, "person")
    assert [one["value"] for one in of["seeds"]] == [7.0] * 3
    assert (of["seeds"][0]["track"], of["seeds"][0]["label"]) == (None, None)
    assert {one.topic for one in told} == {"lookout/pi/yard/second/colour", "lookout/pi/yard/second/seeds"}


def test_frigate_hears_the_name_as_sub_label_at_once(world: World) -> None:
    topic = frigate.create(frigate.Options(update_s=60), scope(world))
    told = [message for scene in world.show("red", 20) for message in topic.scene(scene)]
    objects = [json.loads(one.payload) for one in told if one.topic == "frigate/events"]
    called = [(one["type"], (one["after"]["sub_label"] or [None])[0]) for one in objects]
    assert called == [("new", None), ("update", "red")]


def test_home_assistant_gets_a_sensor_for_each_at_its_cameras(tmp_path: Path) -> None:
    text = TOML + 'cameras = ["gate"]\n[cameras.gate]\nkind = "synthetic"\n'
    world = World(tmp_path, text)
    offered = homeassistant.offer(
        Scope("lookout/pi", scope(world).sender, ("yard", "gate"), second=_looks(world.settings)), []
    )["components"]
    assert {name for name in offered if "_second_" in name} == {
        "yard_second_colour",
        "gate_second_colour",
        "gate_second_seeds",
    }
    assert offered["gate_second_seeds"]["state_topic"] == "lookout/pi/gate/second/seeds"


def test_health_says_which_looks_are_on(world: World) -> None:
    board = Health(50.0, (), (), 0.1, 0.1, 1.0, 1.0, 1.0, clock_synchronised=True)
    told = wire.health(board, {}, SimpleNamespace(**dict.fromkeys(("outbox_trouble", "config_trouble"), ""),
        waiting=0, given_up=0, dropped=0), scope(world).sender)  # fmt: skip
    assert told.second == {"colour": "classify at person", "seeds": "count at one place"}


def test_the_log_says_at_the_start_what_is_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    eyes.embedder(tmp_path / "faces.tflite")
    face = '[second.face]\nkind = "match"\nfile = "faces.tflite"\nlabels = ["person"]\npart = "upper"\n'
    World(tmp_path, f'state_dir = "{tmp_path}"\n' + TOML.split("[second.colour]")[0] + face)
    assert (
        f"second look face: on (match at person, upper part; it compares with 0 names in {tmp_path}/face.gallery;"
        " `gallery remove --all` deletes them)" in caplog.text
    )
