"""What is said of pictures before the work starts."""

import cv2
import numpy as np
import pytest

from agent.cli.detect import read_image
from convert import ConvertError
from convert.int8 import domain
from tests.convert import tiny


@pytest.fixture
def pictures(tmp_path):
    """write(name, image) -> path; many(count) -> different ones."""
    rng = np.random.default_rng(3)

    def write(name, image):
        path = tmp_path / name
        cv2.imwrite(str(path), image)
        return path

    def many(count, *, grey=False):
        shape = (6, 8) if grey else (6, 8, 3)
        images = [cv2.resize(rng.integers(0, 256, shape, np.uint8), (80, 60)) for _ in range(count)]
        return [write(f"{len(list(tmp_path.iterdir()))}.png", image) for image in images]

    write.many, write.folder = many, tmp_path
    return write


def test_a_good_set_is_not_talked_about(pictures):
    assert domain.findings(pictures.many(48), read_image) == []


@pytest.mark.parametrize("count", [1, 7])
def test_hardly_any_pictures_are_an_error(pictures, count):
    with pytest.raises(ConvertError, match=rf"{count} readable; some calibrate and others must score: give 8 or more"):
        domain.findings(pictures.many(count), read_image)


def test_few_grey_and_alike_pictures_are_told(pictures):
    assert [line[:16] for line in domain.findings(pictures.many(20), read_image)] == ["only 20 pictures"]
    grey = domain.findings(pictures.many(48, grey=True), read_image)
    assert len(grey) == 1
    assert grey[0].startswith("48 of 48 pictures are grey")
    twins = [pictures.many(1)[0]] * 30 + pictures.many(20)
    assert domain.findings(twins, read_image)[0].startswith("30 of 50 pictures have a twin")


def test_unreadable_pictures_are_left_out_and_named(pictures):
    good = pictures.many(3)
    bad = pictures.folder / "bad.jpg"
    bad.write_bytes(b"\xff\xd8 no picture")
    kept, lines = domain.readable([*good, bad], read_image)
    assert kept == good
    assert lines == ["1 of 4 pictures cannot be read and are left out (bad.jpg)"]
    with pytest.raises(ConvertError, match=r"none of 1 can be read \(first: bad.jpg\)"):
        domain.readable([bad], read_image)


def test_clouds_of_one_kind_are_near_and_others_far():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 60, 12))
    assert domain.inhomogeneity(a, b) < 0.02
    assert domain.inhomogeneity(a, b + 1.0) > 0.05
    assert domain.inhomogeneity(a, b + 100.0) > 0.9
    assert domain.inhomogeneity(a * 1000, b * 1000) == pytest.approx(domain.inhomogeneity(a, b))  # units do not matter
    assert domain.inhomogeneity(np.ones((4, 3)), np.ones((5, 3))) == 0


def test_another_world_is_told_in_the_models_own_eyes(pictures):
    from convert.tflite import finalise

    model = finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)
    ours, alike = pictures.many(24), pictures.many(24)
    dark = [pictures(f"dark{i}.png", np.full((60, 80, 3), i, np.uint8)) for i in range(24)]
    assert domain.far_apart(model, tiny.CARD.input, ours, alike, read_image)[1] == []
    distance, lines = domain.far_apart(model, tiny.CARD.input, ours, dark, read_image)
    assert distance > domain.FAR
    assert len(lines) == 1
    assert "wrong domain?" in lines[0]
