"""What `blur` names is coarse in every picture that leaves, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from agent import config, pipeline
from agent.data import Array, Frame, Scene
from agent.publish import pictures
from tests.fakes import scenes
from tests.fakes.masked import SIZE, World, jpegs


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
