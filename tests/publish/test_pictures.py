"""The best picture of a track: the right place, the right colours, bounded memory."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from agent.data import Array, Frame, Scene
from agent.publish.pictures import Best, jpeg
from tests.fakes.scenes import scene


def view(level: int, confidence: float, missed: float = 0.0) -> Scene:
    """One track (64, 48, 128, 144) in a picture of one grey level, its box red."""
    image = np.full((480, 640, 3), level, np.uint8)
    image[48:144, 64:128] = (200, 0, 0)
    one = scene(1)
    tracks = replace(one.tracks, confidence=np.array([confidence], np.float32), missed=np.array([missed], np.float32))
    return replace(one, frame=Frame(image, 0, 0.0), tracks=tracks)


def corner(picture: Array | None) -> int:
    assert picture is not None
    return int(picture[0, 0, 0])


def test_the_most_confident_view_is_kept_and_handed_out_once() -> None:
    best = Best()
    for one in (view(10, 0.5), view(20, 0.9), view(30, 0.6), view(40, 0.95), view(50, 0.99, missed=1.0)):
        best.look(one)
    picture = best.take("yard", 1)
    assert corner(picture) == 20  # 0.95 is not enough better to be copied again
    assert picture is not None
    assert picture.shape == (2 * 14 + 96 + 1, 2 * 14 + 64 + 1, 3) or picture.shape[0] > 96
    assert picture[picture.shape[0] // 2, picture.shape[1] // 2].tolist() == [200, 0, 0]
    assert best.take("yard", 1) is None


def test_no_view_outlives_what_was_to_be_hidden_after_it() -> None:
    best, mask = Best(), ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    other = replace(view(10, 0.9), camera="door")
    best.look(view(20, 0.9))
    best.look(other)
    best.look(replace(view(0, 0.5), hidden=(mask,)))
    assert corner(best.take("door", 1)) == 10
    assert corner(best.take("yard", 1)) == 0


def test_only_so_many_tracks_are_kept() -> None:
    best = Best()
    for n in range(40):
        one = scene(5)
        tracks = replace(one.tracks, track_id=np.arange(5, dtype=np.int64) + 5 * n)
        best.look(replace(one, tracks=tracks))
    assert len(best._best) <= 64


def test_red_is_red_in_the_jpeg() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 255
    decoded = cv2.imdecode(np.frombuffer(jpeg(image, 90), np.uint8), cv2.IMREAD_COLOR)
    assert decoded[8, 8].tolist() == pytest.approx([0, 0, 254], abs=3)
