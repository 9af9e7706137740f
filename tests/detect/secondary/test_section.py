"""Who is looked at next, with which crop, how often, and what is told of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from agent.data import Array, Detections, Event, Frame, Reading, Scene, Tracks
from agent.detect.secondary import crops
from agent.detect.secondary.aside import Aside, Errand
from agent.detect.secondary.section import Section, weighted
from agent.sections import Second

LABELS = ("person", "car")
SIZE = (320, 240)


class Eye:
    """Says how bright a crop is; the brightest look decides."""

    side, about, step = 64, "brightness", 10.0

    def __init__(self) -> None:
        self.looked: list[float] = []

    def look(self, picture: Array, scale: float) -> float:
        self.looked.append(round(float(picture.mean()), 1))
        return float(picture.mean())

    def sum_up(self, t: float, looks: Sequence[tuple[float, Any]]) -> Reading:
        best = max(value for _, value in looks)
        return Reading(t, "bright" if best > 100 else None, best / 255, len(looks), {"limit": 100})


def tracks(*rows: tuple[int, tuple[float, float, float, float], int], seen: bool = True) -> Tracks:
    """Rows of id, box, class."""
    n = len(rows)
    return Tracks(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float32).reshape(-1, 4),
        np.zeros((n, 2), np.float32),
        np.full(n, 0.9, np.float32),
        np.array([row[2] for row in rows], np.int32),
        np.ones(n, np.float32),
        np.zeros(n, np.float32),
        np.arange(n, dtype=np.int32) if seen else np.full(n, -1, np.int32),
    )


def scene(t: float, found: Tracks, image: Array, camera: str = "yard", events: tuple[Event, ...] = ()) -> Scene:
    return Scene(camera, Frame(image, round(t * 10), t), Detections.empty(), found, events, {})


def picture(sigma: float = 0.0, grey: int = 130) -> Array:
    """A textured picture around one grey, blurred."""
    texture = np.random.default_rng(0).integers(grey - 60, grey + 60, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    texture = cv2.resize(cv2.resize(texture, (SIZE[0] // 4, SIZE[1] // 4)), SIZE)
    return cv2.GaussianBlur(texture, (0, 0), sigma) if sigma else texture


def section(eye: Eye, aside: Aside | None = None, **wanted: Any) -> Section:
    chosen = {"labels": ("person",), "per_second": 100.0, **wanted}
    return Section("who", Second("fake", None, **chosen), eye, ["yard", "gate"], aside or Aside())


BOX = (100.0, 60.0, 180.0, 200.0)


def test_a_sharp_crop_can_tell_more_than_a_blurred_one_and_a_large_one_more_than_a_small_one():
    box = np.array(BOX)
    values = []
    for sigma, part in ((0, box), (3, box), (0, np.array([100, 60, 116, 88]))):
        crop = crops.around(part, SIZE, "whole")
        taken, scale = crops.taken(picture(sigma), crop, 64)
        values.append(crops.quality(taken, scale, part, SIZE, 64))
    assert values[0] > 2 * values[1]
    assert values[0] > 1.5 * values[2]


def test_sharpness_does_not_care_about_contrast():
    faint = cv2.convertScaleAbs(picture(), alpha=0.6, beta=40)
    assert crops.sharpness(faint) == pytest.approx(crops.sharpness(picture()), rel=0.15)


def test_what_the_frame_cuts_is_worth_less():
    taken, scale = crops.taken(picture(), (0, 60, 80, 200), 64)
    whole = crops.quality(taken, scale, np.array([3, 60, 80, 200]), SIZE, 64)
    assert crops.quality(taken, scale, np.array([0, 60, 80, 200]), SIZE, 64) == pytest.approx(whole / 3)


@pytest.mark.parametrize(
    ("box", "part", "expected"),
    [
        ((100, 60, 200, 160), "whole", (92, 52, 208, 168)),
        ((100, 60, 200, 360), "upper", (92, 52, 208, 168)),
        ((-10, -10, 50, 50), "whole", (0, 0, 55, 55)),
        ((400, 60, 500, 160), "whole", None),
    ],
)
def test_a_box_is_cut_with_a_margin_inside_the_frame(box, part, expected):
    assert crops.around(np.array(box, np.float64), SIZE, part) == expected


def test_the_sharpest_moment_is_looked_at_though_it_has_passed():
    eye, aside = Eye(), Aside()
    waiting: list[Any] = []
    aside.do = waiting.append
    one = section(eye, aside, best=1)
    one.look(scene(0.0, tracks((1, BOX, 0)), picture(4, 90)), LABELS)  # asked at once
    for t, sigma, grey in ((0.2, 3, 80), (0.4, 0, 150), (0.6, 3, 90)):
        one.look(scene(t, tracks((1, BOX, 0)), picture(sigma, grey)), LABELS)
    waiting.pop(0)()
    one.look(scene(0.8, tracks((1, BOX, 0)), picture(4, 70)), LABELS)
    waiting.pop(0)()
    readings, _, _ = one.look(scene(1.0, tracks((1, BOX, 0)), picture(4, 70)), LABELS)
    assert eye.looked[1] == pytest.approx(150, abs=6)
    assert readings[1].value == "bright"
    assert readings[1].looks == 1  # the blurred one gave way
    assert readings[1].t == pytest.approx(0.4)
    assert not waiting


def test_looks_are_bounded_over_all_cameras_and_tracks():
    eye = Eye()
    one = section(eye, per_second=2.0, best=32)
    boxes = [(n, (60.0 * n, 50, 60.0 * n + 50, 200), 0) for n in range(1, 5)]
    for n in range(100):
        for camera in ("yard", "gate"):
            one.look(scene(n / 10, tracks(*boxes), picture(0, 60 + n), camera), LABELS)
    assert 18 <= len(eye.looked) <= 21


def test_whom_nobody_has_looked_at_comes_first():
    eye = Eye()
    one = section(eye, per_second=1.0)
    image = picture()
    seen = tracks((1, BOX, 0), (2, (200, 60, 250, 160), 0))
    for n in range(25):
        readings, _, _ = one.look(scene(n / 10, seen, image), LABELS)
    assert {track: reading.looks for track, reading in readings.items()} == {1: 2, 2: 1}


def test_enough_looks_are_enough_unless_one_is_clearly_better():
    eye = Eye()
    one = section(eye, best=3)
    for n in range(30):
        one.look(scene(n / 5, tracks((1, BOX, 0)), picture(2)), LABELS)
    assert len(eye.looked) == 3
    for n in range(30, 60):
        one.look(scene(n / 5, tracks((1, BOX, 0)), picture(0)), LABELS)
    assert len(eye.looked) == 6


@pytest.mark.parametrize(
    "seen",
    [
        tracks((1, BOX, 1)),
        tracks((1, BOX, 0), seen=False),
        tracks((1, (100, 60, 120, 200), 0)),
        tracks((1, BOX, 7)),
    ],
    ids=["another label", "not seen in this frame", "too small", "a class without a name"],
)
def test_not_everybody_is_looked_at(seen):
    eye = Eye()
    readings, _, events = section(eye).look(scene(0.0, seen, picture()), LABELS)
    assert (eye.looked, readings, events) == ([], {}, [])


def test_a_new_value_is_an_event_of_the_track_and_told_once():
    one = section(Eye(), best=1)
    told = []
    for n, (sigma, grey) in enumerate([(4, 80), (4, 80), (0, 150), (0, 150), (0, 150)]):
        _, _, events = one.look(scene(n / 5, tracks((1, BOX, 0)), picture(sigma, grey)), LABELS)
        told += [(n, event.kind, event.track_id, event.source) for event in events]
    assert told == [(3, "track_update", 1, "yard")]


def test_a_track_that_ended_is_forgotten_after_its_last_word():
    one = section(Eye())
    one.look(scene(0.0, tracks((1, BOX, 0)), picture()), LABELS)
    ended = Event("track_end", 0.2, 2, "yard", 1, {})
    last, _, _ = one.look(scene(0.2, Tracks.empty(), picture(), events=(ended,)), LABELS)
    assert last[1].value == "bright"
    after, _, _ = one.look(scene(0.4, Tracks.empty(), picture()), LABELS)
    assert after == {}
    assert one._known == {}


def test_what_a_forgotten_camera_showed_is_not_looked_at_and_an_answer_about_it_is_dropped():
    eye, aside = Eye(), Aside()
    waiting: list[Any] = []
    aside.do = waiting.append
    one = section(eye, aside)
    seen = tracks((1, BOX, 0), (2, (200, 60, 250, 160), 0))
    one.look(scene(0.0, seen, picture()), LABELS)
    one.forget("yard")
    waiting.pop()()
    readings, _, _ = one.look(scene(0.05, tracks((1, BOX, 0), seen=False), picture()), LABELS)
    assert readings == {}
    assert not waiting


def test_a_place_is_looked_at_when_due_at_each_of_its_cameras():
    eye = Eye()
    one = section(eye, labels=(), region=(0.25, 0.25, 0.5, 0.5), per_second=1.0, best=2)
    dark, light = np.zeros((240, 320, 3), np.uint8), np.full((240, 320, 3), 9, np.uint8)
    light[60:120, 80:160] = 200
    places = {}
    for n in range(62):
        for camera, image in (("yard", light), ("gate", dark)):
            _, place, events = one.look(scene(n / 10, Tracks.empty(), image, camera), LABELS)
            places[camera] = place
            if events:
                assert (events[0].kind, events[0].source, events[0].detail["value"]) == ("reading", "who", "bright")
    assert sorted(eye.looked) == [0.0] * 3 + [200.0] * 4
    assert (places["yard"].value, places["yard"].looks) == ("bright", 2)
    assert places["gate"].value is None


def test_no_frame_waits_for_a_look():
    """A look that never ends until it is let go: frames go on, and nothing piles up."""
    eye, aside, let_go = Eye(), Aside(), threading.Event()
    slow = eye.look
    eye.look = lambda image, scale: (let_go.wait(20), slow(image, scale))[1]  # type: ignore[method-assign]
    aside.start()
    one = section(eye, aside)
    for n in range(50):
        readings, _, _ = one.look(scene(n / 10, tracks((1, BOX, 0)), picture()), LABELS)
        assert readings == {}
    let_go.set()
    aside._jobs.put(None)
    aside._thread.join(20)
    readings, _, _ = one.look(scene(6.0, tracks((1, BOX, 0), seen=False), picture()), LABELS)
    assert readings[1].value == "bright"
    assert len(eye.looked) == 1
    aside.stop()


def test_a_frame_whose_picture_was_dropped_shows_nothing():
    eye = Eye()
    black = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (240, 320, 3))
    section(eye).look(scene(0.0, tracks((1, BOX, 0)), black), LABELS)
    assert eye.looked == []


def test_an_errand_that_fails_can_be_sent_again():
    errand: Errand[int] = Errand(Aside())
    with pytest.raises(ZeroDivisionError):
        errand.ask(lambda: 1 // 0)
    assert errand.is_free
    errand.ask(lambda: 7)
    assert not errand.is_free
    assert errand.answer() == 7
    assert errand.is_free


def test_weights_are_shares_of_the_best():
    assert weighted([(4.0, "a"), (1.0, "b")]) == [(1.0, "a"), (0.25, "b")]
    assert weighted([(0.0, "a")]) == [(1.0, "a")]


def test_crops_that_wait_are_bounded():
    aside = Aside()
    aside.do = lambda _: None  # nobody works
    one = section(Eye(), aside)
    crowd = tracks(*[(n, (8.0 * n, 60.0, 8.0 * n + 40, 200.0), 0) for n in range(1, 33)])
    for n in range(80):
        one.look(scene(n / 10, crowd, picture()), LABELS)
    assert sum(known.held is not None for known in one._known.values()) == 16
