"""The loop obeys what is asked of a camera, and takes another config over without disturbing what stays as it was."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from agent import config
from agent.areas import Zone
from agent.data import CameraState, Detections, Frame, Scene, Tracks
from agent.detect.watch import Watch
from agent.pipeline import Pipeline
from agent.publish.switches import Wanted
from agent.track.counters import Counters

FPS = 10.0
SIZE = (64, 48)


class Eye:
    """Stands in for the detector: one person, always at the same place, with a confidence of .6."""

    def __init__(self, labels: tuple[str, ...] = ("person",)) -> None:
        self.model = SimpleNamespace(card=SimpleNamespace(labels=labels, confidence=0.5))
        self.seen, self.times = None, {"invoke": 1.0}
        self.looked: list[tuple[str, int]] = []
        self.tuned: dict[str, tuple[Sequence[Any], float, float]] = {}
        self.forgotten: list[str] = []

    def detect(self, camera: str, frame: Frame, _: Tracks) -> Detections:
        self.looked.append((camera, frame.seq))
        box = np.array([[10, 10, 30, 40]], np.float32)
        return Detections(box, np.array([0.6], np.float32), np.zeros(1, np.int32))

    def tune(self, camera: str, masks: Sequence[Any], certain: float, least: float) -> None:
        self.tuned[camera] = masks, certain, least

    def forget(self, camera: str) -> None:
        self.forgotten.append(camera)


class Ear:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.scenes: list[Scene] = []
        self.states: list[CameraState] = []

    def on_scene(self, scene: Scene) -> None:
        self.scenes.append(scene)

    def on_camera(self, state: CameraState) -> None:
        self.states.append(state)

    def events(self) -> list[tuple[str, int | None]]:
        return [(event.kind, event.track_id) for scene in self.scenes for event in scene.events]


def settings(*cameras: str, **options: Any) -> config.Config:
    made = {name: config.camera("synthetic") for name in cameras or ("yard",)}
    return config.Config(cameras={n: msgspec.structs.replace(c, **options) for n, c in made.items()}, device="pi")


def feed(pipeline: Pipeline, first: int, n: int, camera: str = "yard") -> None:
    """As the loop does it."""
    for seq in range(first, first + n):
        frame = Frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), seq, seq / FPS)
        if pipeline._is_due(camera, frame):
            pipeline.look(camera, frame)


@pytest.fixture
def wanted() -> dict[str, Wanted]:
    return {}


def made(
    wanted: dict[str, Wanted], of: config.Config | None = None, counters: Counters | None = None
) -> tuple[Pipeline, Eye, Ear]:
    eye, ear = Eye(), Ear()
    return (
        Pipeline(of or settings(), eye, [ear], counters, wanted=lambda name: wanted.get(name, Wanted())),  # type: ignore[arg-type]
        eye,
        ear,
    )


def test_detection_off_ends_the_tracks_says_so_once_and_looks_no_more(wanted: dict[str, Wanted]) -> None:
    pipeline, eye, ear = made(wanted)
    feed(pipeline, 0, 10)
    assert ear.events() == [("track_start", 1)]
    wanted["yard"] = Wanted(detection=False)
    feed(pipeline, 10, 10)
    assert ear.events()[1:] == [("track_end", 1)]
    assert ear.scenes[-1].events[0].detail["reason"] == "detection off"
    assert len(ear.scenes) == 11
    assert len(ear.scenes[-1].tracks) == 0
    assert len(eye.looked) == 10
    wanted["yard"] = Wanted()
    feed(pipeline, 20, 10)
    assert ear.events()[2:] == [("track_start", 2)]
    assert ear.states == [], "the camera was there all the time"


def test_a_zone_is_empty_once_nobody_looks(wanted: dict[str, Wanted]) -> None:
    whole = Zone(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), enter_s=0.0)
    counters = Counters()
    pipeline, _, ear = made(wanted, settings(zones={"all": whole}), counters)
    feed(pipeline, 0, 10)
    assert counters.occupancy()["yard", "all", "person"] == 1
    wanted["yard"] = Wanted(detection=False)
    feed(pipeline, 10, 1)
    assert counters.occupancy()["yard", "all", "person"] == 0
    assert [kind for kind, _ in ear.events()] == ["track_start", "zone_enter", "zone_exit", "track_end"]


def test_a_camera_that_starts_switched_off_still_says_that_it_works(wanted: dict[str, Wanted]) -> None:
    wanted["yard"] = Wanted(detection=False)
    pipeline, eye, ear = made(wanted)
    feed(pipeline, 0, 10)
    assert len(ear.scenes) == 1  # what systemd waits for
    assert not eye.looked


@pytest.mark.parametrize(("confidence", "begins"), [(0.55, True), (0.65, False), (0.05, True)])
def test_confidence_reaches_the_tracker_and_the_detector(
    wanted: dict[str, Wanted], confidence: float, begins: bool
) -> None:
    wanted["yard"] = Wanted(confidence=confidence)
    pipeline, eye, ear = made(wanted)
    feed(pipeline, 0, 10)
    assert bool(ear.events()) == begins
    assert eye.tuned["yard"][1:] == (confidence, min(0.1, confidence))


def test_a_track_goes_on_when_the_confidence_changes(wanted: dict[str, Wanted]) -> None:
    pipeline, _, ear = made(wanted)
    feed(pipeline, 0, 10)
    wanted["yard"] = Wanted(confidence=0.9)  # .6 founds no track any more, but keeps one going
    feed(pipeline, 10, 20)
    assert ear.events() == [("track_start", 1)]
    assert len(ear.scenes[-1].tracks) == 1


def test_the_rate_is_that_of_the_frames_and_changes_at_once(wanted: dict[str, Wanted]) -> None:
    wanted["yard"] = Wanted(fps=0.1)
    pipeline, eye, _ = made(wanted)
    feed(pipeline, 0, 60)
    assert len(eye.looked) == 2
    wanted["yard"] = Wanted(fps=5.0)
    feed(pipeline, 60, 20)
    assert len(eye.looked) == pytest.approx(2 + 10, abs=1)
    wanted["yard"] = Wanted()
    feed(pipeline, 80, 20)
    assert [seq for _, seq in eye.looked[-20:]] == list(range(80, 100))


def test_masks_that_were_asked_for_stand_in_for_the_configs(wanted: dict[str, Wanted]) -> None:
    own, asked = (((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),), (((0.0, 0.0), (0.5, 0.0), (0.0, 0.5)),)
    pipeline, eye, _ = made(wanted, settings(motion_masks=own))
    feed(pipeline, 0, 1)
    assert eye.tuned["yard"][0] == own
    wanted["yard"] = Wanted(motion_masks=asked)
    feed(pipeline, 1, 1)
    assert eye.tuned["yard"][0] == asked
    wanted["yard"] = Wanted(motion_masks=())
    feed(pipeline, 2, 1)
    assert eye.tuned["yard"][0] == ()


def test_another_config_leaves_alone_what_it_does_not_change(wanted: dict[str, Wanted]) -> None:
    door = Zone(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), enter_s=0.0)
    counters = Counters()
    pipeline, eye, ear = made(wanted, settings("yard", "gate", zones={"door": door}), counters)
    for camera in ("yard", "gate"):
        feed(pipeline, 0, 10, camera)
    pipeline._supervisors = {name: SimpleNamespace(stop=lambda: None) for name in ("yard", "gate")}  # type: ignore[misc]
    pipeline.take_over(settings("yard", zones={"door": door}), eye, [ear], lambda _: Wanted())  # type: ignore[arg-type]
    assert ear.scenes[-1].camera == "gate"
    assert [event.kind for event in ear.scenes[-1].events] == ["zone_exit", "track_end"]
    assert eye.forgotten == ["gate"]
    assert "gate" in {state.camera for state in ear.states if not state.online}
    assert {camera for camera, *_ in counters.counts()} == {"yard"}
    feed(pipeline, 10, 10)
    assert {int(scene.tracks.track_id[0]) for scene in ear.scenes[-10:]} == {1}
    assert counters.counts()["yard", "door", "person", "in"] == 1
    feed(pipeline, 20, 5, "gate")  # late frames of what is gone
    assert ear.scenes[-1].camera == "yard"


def test_a_zone_that_went_is_told_no_more_and_one_that_came_is(wanted: dict[str, Wanted]) -> None:
    half = Zone(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), enter_s=0.0)
    counters = Counters()
    pipeline, eye, ear = made(wanted, settings(zones={"old": half}), counters)
    feed(pipeline, 0, 10)
    pipeline.take_over(settings(zones={"new": half}), eye, [ear], lambda _: Wanted())  # type: ignore[arg-type]
    feed(pipeline, 10, 10)
    assert {name for _, name, _ in counters.occupancy()} == {"new"}
    assert counters.occupancy()["yard", "new", "all"] == 1
    assert [kind for kind, _ in ear.events()] == ["track_start", "zone_enter", "zone_enter"]


def test_cameras_share_a_decoder_that_reaches_down_to_the_lowest_and_keep_their_view_of_what_did_not_change() -> None:
    reached: list[float] = []
    card = SimpleNamespace(confidence=0.5, input=SimpleNamespace(size=(32, 32)), labels=("person",), iou=0.5)
    looks = SimpleNamespace(
        model=SimpleNamespace(card=card),
        times={},
        reach_down_to=reached.append,
        look=lambda *_: (Detections.empty(), np.zeros(0, np.bool_)),
    )
    watch = Watch(looks)  # type: ignore[arg-type]
    masks = (((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),)
    for name, certain, least in (("yard", 0.5, 0.1), ("gate", 0.05, 0.05), ("gate", 0.5, 0.1)):
        watch.tune(name, (), certain, least)
    assert reached == [0.1, 0.05, 0.1]
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 0, 1.0)
    views = []
    for tuned in (((), 0.5), ((), 0.5), (masks, 0.5), (masks, 0.7)):
        watch.tune("yard", tuned[0], tuned[1], 0.1)
        watch.detect("yard", frame, Tracks.empty())
        views.append(watch._views["yard"])
    assert views[0] is views[1]
    assert len({id(view) for view in views}) == 3
    watch.forget("yard")
    assert not watch._views


def test_a_dark_camera_is_cleared_for_all_who_look_but_not_across_a_new_mask(wanted: dict[str, Wanted]) -> None:
    pipeline, eye, ear = made(wanted, settings(enhance=True))
    eye.begin = lambda _: None  # type: ignore[attr-defined]  nothing is begun ahead
    rng = np.random.default_rng(0)
    shown = [np.clip(rng.normal(30, 8, (SIZE[1], SIZE[0], 3)), 0, 255).astype(np.uint8) for _ in range(9)]
    for seq, image in enumerate(shown):
        if seq == 8:
            wanted["yard"] = Wanted(privacy_masks=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),))
        pipeline.hear(("yard", Frame(image, seq, seq / FPS)))
    assert ear.scenes[7].frame.image.std() < 0.6 * shown[7].std()
    assert ear.scenes[7].times["enhance"] > 0
    assert not ear.scenes[8].frame.image.any()
