"""A privacy mask hides from everybody: model, second model, baselines, page, messages, files; and what `blur` names."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from agent import config, pipeline
from agent.data import Array, CameraState, Event, Frame, Scene, Strange
from agent.detect.detector import Detector
from agent.detect.watch import Watch
from agent.pipeline import Pipeline
from agent.publish import Live, Received, Scope, pictures, wire
from agent.publish.payloads import Model
from agent.publish.switches import Switches, Wanted
from agent.publish.topics import anomalies, command, events
from tests.conftest import ROOT
from tests.detect.eye import RED, Eye, paint
from tests.fakes import scenes
from tests.fakes.clock import FixedClock

SIZE = (320, 192)
SECRET, WITNESS = (20, 30, 70, 110), (200, 60, 250, 140)  # px xyxy of two red things
HIDDEN = ((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0))  # the left of the picture


def reds(picture: Array) -> int:
    """Pixels as red as what is painted, JPEG's losses included: (H, W, 3) RGB."""
    far = np.abs(picture.astype(int) - RED).max(axis=-1)
    return int((far < 70).sum())


def left(picture: Array) -> Array:
    return picture[:, : int(picture.shape[1] * 0.36)]


def decoded(data: bytes) -> Array:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


class Remembering(Eye):
    """Remembers what was put before it: (96, 96, 3) each."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Array] = []
        run = self.backend.run

        def remembered() -> Any:
            self.inputs.append(self.backend.input[0].copy())
            return run()

        self.backend.run = remembered


class World:
    """A whole pipeline from a camera's thread on, and what each of those behind it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **camera: Any) -> None:
        self.model, self.scenes, self.second = Remembering(), [], []
        self.settings, self.wanted = self.made(**camera), Wanted()
        self.watch = Watch(Detector(self.model), self.settings.detect)

        def ask(frame: Frame) -> bool:
            self.second.append(frame.image.copy())
            return False

        watcher = SimpleNamespace(ask=ask, answer=lambda: None)
        monkeypatch.setattr(pipeline, "Watcher", lambda *_: watcher)
        monkeypatch.setattr(pipeline, "frames_of", lambda _: self.frames())
        self.pipeline = Pipeline(self.settings, self.watch, [self], wanted=lambda _: self.wanted)

    def made(self, **camera: Any) -> config.Config:
        file = Path("none.tflite")
        kind = pipeline.plugins.get("anomalies", "novelty")
        watched = {"strange": config.Anomaly("novelty", kind.Options(file=file, every_s=0.1))}
        yard = msgspec.structs.replace(config.camera("synthetic"), anomalies=watched, **camera)
        return config.Config({"yard": yard}, device="pi", detect=config.Detect(mode="full"))

    def frames(self) -> Iterator[Frame]:
        for seq in itertools.count():
            time.sleep(0.01)
            yield Frame(paint(SIZE, SECRET, WITNESS, seed=seq), seq, time.monotonic())

    def run(self, count: int) -> list[Scene]:
        """So many more scenes."""
        begin = len(self.scenes)
        self.steps = [begin + count]
        self.pipeline.stopping = False
        self.pipeline.run(30, beat=self.beat)
        return self.scenes[begin:]

    def beat(self) -> None:
        if len(self.scenes) >= self.steps[0]:
            self.pipeline.stopping = True

    def on_scene(self, scene: Scene) -> None:
        self.scenes.append(scene)

    def on_camera(self, _: object) -> None: ...


def jpegs(told: list[Scene]) -> Iterator[tuple[str, Array]]:
    """Every picture that MQTT and the page make of scenes."""
    sender = wire.Sender("pi", ("person",), Model("eye", "ab"), FixedClock())
    scope = Scope("lookout/pi", sender, ("yard",), {}, None, Switches(("yard",), None))
    topics = [
        command.create(command.Options(enabled=True), scope),
        events.create(events.Options(snapshots=True), scope),
        anomalies.create(anomalies.Options(snapshots=True), scope),
    ]
    last = told[-1]
    ends = tuple(Event("track_end", last.frame.t, 0, "yard", int(n), {}) for n in last.tracks.track_id)
    begins = Event("anomaly_start", last.frame.t, 0, "strange", None, dict(scenes.anomaly().detail))
    strange = Strange(last.frame.t, (300, 180, 310, 190), 1.0, 0.5, (0.0, 0.1), np.zeros((2, 2), np.float32))
    told = [*told, replace(last, events=ends, anomalies=(begins,), strange={"strange": strange})]
    messages = [message for scene in told for topic in topics for message in topic.scene(scene)]
    messages += topics[0].received(Received("lookout/pi/command/snapshot", json.dumps({"camera": "yard"}).encode()))
    for message in messages:
        if isinstance(message, Live) and message.content_type == "image/jpeg":
            yield message.topic, decoded(message.payload)
    yield "page", pictures.shown(last)
    yield "crop", pictures.cut(last, (0.0, 0.0, *map(float, SIZE)))


def found(scene: Scene) -> list[bool]:
    """Of each detection, whether it lies at the left."""
    return [box[0] < SIZE[0] * 0.4 for box in scene.detections.xyxy.tolist()]


def test_without_a_mask_all_can_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests below look for is there to be found."""
    world = World(monkeypatch)
    told = world.run(8)
    assert sorted(found(told[-1])) == [False, True]
    assert min(reds(left(picture)) for picture in world.model.inputs[1:]) > 100
    assert all(reds(left(picture)) > 500 for picture in world.second)
    assert {name.rpartition("/")[2] for name, picture in jpegs(told) if reds(left(picture)) > 500} >= {
        "snapshot",
        "page",
    }


def test_what_a_mask_hides_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, privacy_masks=(HIDDEN,))
    told = world.run(8)
    assert found(told[-1]) == [False]
    assert world.second
    assert max(reds(left(picture)) for picture in (*world.model.inputs, *world.second)) == 0
    assert {scene.frame.image[:, : int(0.4 * SIZE[0])].max() for scene in told} == {0}
    pictured = list(jpegs(told))
    assert len({name for name, _ in pictured}) >= 5  # both topics' snapshots, the command's, page, crop
    whole = [picture for _, picture in pictured if picture.shape[:2] == SIZE[::-1]]
    assert all(reds(picture) > 500 for picture in whole)  # the witness
    assert max(reds(left(picture)) for picture in whole) == 0


@pytest.mark.parametrize("way", ["set", "reload"])
def test_a_mask_that_is_drawn_holds_from_the_next_frame_on(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    world = World(monkeypatch)
    world.run(6)
    if way == "set":
        world.wanted = Wanted(privacy_masks=(HIDDEN,))
    else:
        world.pipeline.take_over(world.made(privacy_masks=(HIDDEN,)), world.watch, [world], lambda _: Wanted())
    begin, looks = len(world.model.inputs), len(world.second)
    told = world.run(6)
    assert max(reds(left(scene.frame.image)) for scene in told) == 0
    assert {scene.hidden for scene in told} == {(HIDDEN,)}
    assert max(reds(left(picture)) for picture in (*world.model.inputs[begin:], *world.second[looks:])) == 0


def test_a_frame_that_waited_as_the_mask_was_drawn_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    now, waiting = itertools.islice(world.frames(), 2)
    world.wanted = Wanted(privacy_masks=(HIDDEN,))
    world.pipeline._mailbox.put("yard", waiting)
    world.pipeline.hear(("yard", now))
    assert world.pipeline._mailbox.take(0) is None


def test_a_mask_that_is_set_while_the_camera_is_away_covers_its_last_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    open_one = world.run(4)[-1]
    assert reds(left(open_one.frame.image)) > 500
    gone = threading.Event()
    monkeypatch.setattr(world, "frames", lambda: iter(lambda: gone.wait(30), True))
    world.pipeline._camera_changed(CameraState("yard", False, "unplugged"))
    world.wanted = Wanted(privacy_masks=(HIDDEN,))
    covered = world.run(1)
    gone.set()
    assert len(covered) == 1
    assert reds(left(covered[0].frame.image)) == 0
    assert reds(covered[0].frame.image) > 500  # the witness
    assert covered[0].hidden == (HIDDEN,)
    assert {event.kind for event in covered[0].events} == {"track_end"}


def test_what_the_config_hides_cannot_be_uncovered_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, privacy_masks=(HIDDEN,))
    world.wanted = Wanted(privacy_masks=())
    assert max(reds(left(scene.frame.image)) for scene in world.run(4)) == 0


def test_a_replay_is_covered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, privacy_masks=(HIDDEN,))
    for scene in itertools.islice(world.pipeline.replay("yard"), 3):
        assert reds(left(scene.frame.image)) == 0
        assert reds(scene.frame.image) > 500


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        ("privacy_masks = [[[0.1, 0.1], [0.5, 0.1]]]", "cameras.yard.privacy_masks[0] needs at least 3 points, has 2"),
        ("motion_masks = [[[0, 0], [1, 1], [1, 0], [0, 1]]]", "cameras.yard.motion_masks[0] crosses itself"),
        ("masks = [[[0, 0], [1, 1], [1, 0]]]", "cameras.yard.masks is not a known key"),
        ("blur = 'person'", "cameras.yard.blur must be a list"),
        ("blur_part = 'face'", "must be one of 'whole', 'upper'"),
    ],
)
def test_what_cannot_be_meant_is_refused(drawn: str, reason: str) -> None:
    with pytest.raises(config.ConfigError) as refused:
        config.parse(f'[cameras.yard]\nkind = "synthetic"\n{drawn}\n', Path("agent.toml"))
    assert reason in str(refused.value)
    assert str(refused.value).startswith("agent.toml:3: ")


def test_who_is_to_be_blurred_must_be_known_to_the_model() -> None:
    yard = msgspec.structs.replace(config.camera("synthetic"), blur=("persn",))
    with pytest.raises(config.ConfigError, match=r"cameras\.yard\.blur: 'persn' is not a label .*mean 'person'"):
        pipeline.open_detector(config.Config({"yard": yard}))


def detail(picture: Array, xyxy: tuple[int, int, int, int]) -> float:
    """How much is to be told apart in a box: mean step between neighbours, grey levels."""
    x1, y1, x2, y2 = xyxy
    return float(np.abs(np.diff(picture[y1:y2, x1:x2].astype(int), axis=1)).mean())


@pytest.fixture
def crowd() -> Callable[..., Scene]:
    """Two people, fine stripes all over; the first is to be blurred."""

    def crowd(*private: tuple[float, ...]) -> Scene:
        made = scenes.scene(2)
        image = np.tile(np.array([0, 255], np.uint8), (480, 320))[:, :, None].repeat(3, axis=2)
        boxes = np.array(private, np.float32).reshape(-1, 4)
        return replace(made, frame=Frame(image, 0, 10.0), private=boxes)

    return crowd


def test_what_is_private_is_coarse_in_every_picture_and_the_rest_is_sharp(crowd: Callable[..., Scene]) -> None:
    one = crowd((100, 100, 160, 280))
    whole = pictures.shown(one)
    assert detail(whole, (100, 100, 160, 280)) < 60 < 200 < detail(whole, (300, 100, 360, 280))
    assert detail(one.frame.image, (100, 100, 160, 280)) == 255  # the frame is as it was
    assert len({tuple(px) for px in whole[100:280, 100:160].reshape(-1, 3).tolist()}) <= 8 * 30
    assert pictures.cut(one, (110.0, 130.0, 140.0, 200.0)).max() < 200  # nothing else is in it
    plain = crowd()
    assert pictures.shown(plain) is plain.frame.image


def test_a_box_beyond_the_picture_or_without_area_is_no_trouble(crowd: Callable[..., Scene]) -> None:
    for box in ((-50, -50, 10, 10), (630, 470, 900, 900), (700, 500, 800, 600), (5, 5, 5, 5), (-9, -9, -5, -5)):
        assert pictures.shown(crowd(box)).shape == (480, 640, 3)


@pytest.mark.parametrize(("part", "lower"), [("whole", 140), ("upper", 87)])
def test_who_is_private_is_found_by_label(monkeypatch: pytest.MonkeyPatch, part: str, lower: int) -> None:
    world = World(monkeypatch, blur=("person",), blur_part=part)
    told = world.run(8)[-1]
    assert max(told.private[:, 3]) == pytest.approx(lower, abs=6)
    assert len(told.private) == len(told.detections) + len(told.tracks) == 4
    nobody = World(monkeypatch, blur=("car",))
    assert len(nobody.run(3)[-1].private) == 0


def test_no_picture_shows_somebodys_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, over what is found, and only a clear picture shows it."""
    world = World(monkeypatch, blur=("person",))
    plain = world.frames

    def striped() -> Iterator[Frame]:
        for frame in plain():
            frame.image[60:140, 200:250:6] = (180, 80, 80)
            yield frame

    monkeypatch.setattr(world, "frames", striped)
    told = world.run(8)
    assert detail(told[-1].frame.image, (205, 65, 245, 135)) > 15
    crops = 0
    for name, picture in jpegs(told):
        height, width = picture.shape[:2]
        is_whole = (width, height) == SIZE
        crops += not is_whole
        where = (205, 65, 245, 135) if is_whole else (width // 3, height // 3, 2 * width // 3, 2 * height // 3)
        assert detail(picture, where) < 5, name
    assert crops == 2  # each track's best picture


def test_every_picture_that_leaves_is_made_in_one_place() -> None:
    for folder in ("publish", "web", "sim"):
        for path in (ROOT / "agent" / folder).rglob("*.py"):
            uses = re.findall(r"frame\.image(?!\.strides|\.shape)", path.read_text())
            assert not uses or path.name == "pictures.py", path
