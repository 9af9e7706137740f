"""Noise of a dark, still picture goes; what moves stays where it is; a bright picture is left alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.data import Array, Frame
from agent.detect.enhance import Enhance

SIZE = (160, 120)


def frames(count: int, level: int = 30, *, step: float = 0.1, moving: bool = False, noise: float = 8.0) -> list[Frame]:
    """A dark wall in noise; `moving`: a brighter block goes 12 px to the right each frame."""
    rng = np.random.default_rng(0)
    made = []
    for n in range(count):
        picture = np.full((SIZE[1], SIZE[0], 3), level, np.float32)
        if moving:
            picture[40:80, 10 + 12 * n : 42 + 12 * n] = level + 45
        picture += rng.normal(0, noise, picture.shape)
        made.append(Frame(np.clip(picture, 0, 255).astype(np.uint8), n, n * step, small=np.zeros((3, 4, 3), np.uint8)))
    return made


def spread(image: Array) -> float:
    return float(image[:, 100:].std())


def test_the_noise_of_a_still_dark_picture_is_less_than_half() -> None:
    enhance, shown = Enhance(), frames(10)
    before = [frame.image.copy() for frame in shown]
    cleared = [enhance(frame) for frame in shown]
    assert enhance.is_dark
    assert spread(cleared[-1].image) < 0.5 * spread(shown[-1].image)
    assert float(cleared[-1].image.mean()) == pytest.approx(float(shown[-1].image.mean()), abs=1.5)
    assert all(np.array_equal(frame.image, image) for frame, image in zip(shown, before, strict=True))
    assert cleared[-1].small is None, "the camera's own small picture has all of the noise"
    assert (cleared[-1].seq, cleared[-1].t) == (shown[-1].seq, shown[-1].t)


def test_what_moves_is_where_the_newest_frame_has_it_and_leaves_no_ghost() -> None:
    enhance = Enhance()
    last = [enhance(frame) for frame in frames(8, moving=True)][-1].image.astype(np.float32)
    x = 10 + 12 * 7
    assert last[44:76, x + 4 : x + 28].mean() == pytest.approx(75, abs=4)
    assert last[44:76, x - 30 : x - 6].mean() == pytest.approx(30, abs=6)


def test_a_bright_picture_is_the_very_same() -> None:
    enhance = Enhance()
    for frame in frames(3, level=120):
        assert enhance(frame) is frame
    assert not enhance.is_dark


def test_dusk_does_not_switch_to_and_fro() -> None:
    enhance, told = Enhance(), []
    for level in (70, 58, 62, 70, 74, 77, 70, 62):
        enhance(frames(1, level, noise=0)[0])
        told.append(enhance.is_dark)
    assert told == [False, True, True, True, True, False, False, False]


def test_after_a_pause_or_another_size_it_begins_anew() -> None:
    enhance = Enhance()
    first, second = frames(2, step=3.0)
    enhance(first)
    assert np.array_equal(enhance(second).image, Enhance()(second).image)
    small = Frame(cv2.resize(second.image, (80, 60)), 2, 3.1)
    assert np.array_equal(enhance(small).image, Enhance()(small).image)


def test_what_was_hidden_meanwhile_does_not_shine_through() -> None:
    enhance = Enhance()
    for frame in frames(5, moving=True):
        enhance(frame)
    enhance.forget()
    black = Frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), 5, 0.5)
    assert not enhance(black).image.any()
