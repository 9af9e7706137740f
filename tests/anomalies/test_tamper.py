"""A camera that cannot see is told, by the name of what befell it; a day, a night and a lorry are not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.data import Array, Event
from tests.anomalies.faults import FAULTS, STRENGTHS, day, lorry
from tests.anomalies.walks import ends, starts
from tests.bench.anomalies_tamper import pictures, planted, scene, watcher

FPS = 2.0


def street(seed: int = 0, size: tuple[int, int] = (320, 192)) -> Array:
    """A still picture with edges at every scale."""
    dice, picture = np.random.default_rng(seed), np.zeros((size[1], size[0]), np.float32)
    for cell in (4, 12, 48):
        coarse = dice.uniform(-50, 50, (size[1] // cell + 1, size[0] // cell + 1)).astype(np.float32)
        picture += cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST)
    return np.clip(picture[..., None] + (110, 115, 120), 10, 240).astype(np.uint8)


class Camera:
    """Sensor noise, and somebody who walks about."""

    def __init__(self) -> None:
        self.dice, self.t, self.view = np.random.default_rng(0), 0.0, street()

    def __call__(self) -> Array:
        self.t += 1 / FPS
        made = self.view + self.dice.normal(0, 2, self.view.shape)
        x = round(20 * self.t) % 280
        made[120:180, x : x + 20] = 60
        return np.clip(made, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def learned() -> tuple[Any, Camera]:
    seen, camera = watcher(), Camera()
    for _ in range(40):
        assert seen.update(scene(camera(), camera.t)) == []
    return seen, camera


def watch(learned: tuple[Any, Camera], seconds: float, plant: Any) -> tuple[list[Event], float]:
    """What is told when pictures go through `plant(picture, s since it began)`, and when that began."""
    seen, camera = copy.deepcopy(learned)
    begin = camera.t + 1 / FPS
    told: list[Event] = []
    for _ in range(round(seconds * FPS)):
        image = camera()
        told += seen.update(scene(plant(image, camera.t - begin), camera.t))
    return told, begin


@pytest.mark.parametrize("strength", range(3), ids=STRENGTHS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_within_5_s_by_its_name(learned: tuple[Any, Camera], fault: str, strength: int) -> None:
    dice, first = np.random.default_rng(1), learned[1].view
    told, begin = watch(learned, 8.0, lambda image, _: FAULTS[fault][strength](image, first, dice))

    (start,) = starts(told)
    assert start.detail["what"] == fault
    assert start.t - begin <= 5.0
    assert start.detail["value"] > start.detail["limit"]


def test_it_is_over_when_the_camera_sees_again(learned: tuple[Any, Camera]) -> None:
    dice = np.random.default_rng(1)
    told, begin = watch(learned, 20.0, lambda image, s: FAULTS["covered"][2](image, image, dice) if s < 8 else image)

    (start,), (end,) = starts(told), ends(told)
    assert start.detail["episode"] == end.detail["episode"]
    assert 10.0 <= end.t - begin <= 13.0


def test_what_lasts_for_a_moment_is_no_fault(learned: tuple[Any, Camera]) -> None:
    dice = np.random.default_rng(1)
    told, _ = watch(learned, 12.0, lambda image, s: FAULTS["covered"][2](image, image, dice) if s < 2 else image)

    assert told == []


def test_a_lorry_that_passes_is_no_fault(learned: tuple[Any, Camera]) -> None:
    dice = np.random.default_rng(1)
    told, _ = watch(learned, 12.0, lambda image, s: lorry(image, s / 5.0, dice) if s < 5 else image)

    assert told == []


def test_a_view_that_stays_changed_is_learned_anew(learned: tuple[Any, Camera]) -> None:
    seen, camera = copy.deepcopy(learned)
    seen._options = type(seen._options)(relearn_s=20.0)
    told: list[Event] = []
    for _ in range(120):
        told += seen.update(scene(FAULTS["moved"][2](camera(), camera.view, camera.dice), camera.t))

    assert [event.kind for event in told] == ["anomaly_start", "anomaly_end"]


def test_day_and_night_are_no_fault() -> None:
    seen, camera, told = watcher(), Camera(), []
    for index in range(400):
        told += seen.update(scene(day(camera(), 24 * index / 400, camera.dice), camera.t))

    assert told == []


def test_a_camera_that_was_away_for_an_hour_says_nothing_of_how_the_light_changed(learned: tuple[Any, Camera]) -> None:
    seen, camera = copy.deepcopy(learned)
    camera.t += 3600.0

    assert [event for _ in range(20) for event in seen.update(scene(camera(), camera.t))] == []


def test_faults_on_a_real_street_are_told_and_the_street_is_not(data_dir: Path) -> None:
    clip = data_dir / "video" / "vtest.avi"
    seen = watcher()
    assert [event for t, image in pictures(clip, 0, 15) for event in seen.update(scene(image, t))] == []

    named = [(fault, starts(events)[0].detail["what"]) for fault, _, events, _ in planted(clip, 10.0)]
    assert [fault for fault, _ in named] == [what for _, what in named]
