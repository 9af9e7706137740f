"""Pictures with masks: what they become, and what is said of bad ones before any training."""

import cv2
import numpy as np
import pytest

from convert import ConvertError
from models import masks
from models.masks import NOBODYS, Legend
from tests.models import drawn

LEGEND = Legend(("ground", "disc"))


def test_a_fifth_is_held_out_and_never_learned(tmp_path):
    learned, held = masks.read(drawn.masked(tmp_path / "d", 10), LEGEND)
    assert (len(learned), len(held)) == (8, 2)
    assert not set(learned.paths) & set(held.paths)
    assert all(a.stem == b.stem for a, b in zip(held.paths, held.masks, strict=True))


def test_a_test_folder_is_what_judges(tmp_path):
    drawn.masked(tmp_path / "train", 6)
    drawn.masked(tmp_path / "test", 1, seed=1)
    learned, held = masks.read(tmp_path, LEGEND)
    assert (len(learned), len(held)) == (6, 1)
    assert held.paths[0].parts[-3] == "test"


def test_white_masks_and_numbers_of_objects_are_the_second_label(tmp_path):
    found, _ = masks.read(drawn.masked(tmp_path / "d", 6, white=True), Legend(("ground", "disc"), binary=True))
    x, y = masks.load(found, Legend(("ground", "disc"), binary=True), (24, 16))
    assert x.shape[1:] == (16, 24, 3)
    assert y.shape[1:] == (16, 24)
    assert set(np.unique(y)) == {0, 1}
    assert x[y == 1].mean() > x[y == 0].mean() + 80  # the mask lies where the disc is


def test_the_number_of_nobody_counts_nowhere():
    read = Legend(("a", "b"), nobody=11).read(np.array([[0, 1, 11, 255]], np.uint8))
    assert read.tolist() == [[0, 1, NOBODYS, NOBODYS]]


def _without_mask(root):
    (root / "masks" / "p3.png").unlink()


def _without_picture(root):
    (root / "images" / "p3.png").unlink()


def _other_size(root):
    cv2.imwrite(str(root / "masks" / "p3.png"), np.ones((48, 32), np.uint8))


def _colours(root):
    cv2.imwrite(str(root / "masks" / "p3.png"), np.ones((32, 48, 3), np.uint8))


def _unknown_number(root):
    cv2.imwrite(str(root / "masks" / "p3.png"), np.full((32, 48), 7, np.uint8))


def _nothing(root):
    for path in (root / "masks").iterdir():
        cv2.imwrite(str(path), np.zeros((32, 48), np.uint8))


def _empty(root):
    for path in (*(root / "masks").iterdir(), *(root / "images").iterdir()):
        path.unlink()


def _three(root):
    for path in sorted((*(root / "masks").iterdir(), *(root / "images").iterdir())):
        if path.stem > "p2":
            path.unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without_mask, r"images/p3.png: has no mask masks/p3.png$"),
        (_without_picture, r"masks/p3.png: is a mask without its picture in images/$"),
        (_other_size, r"masks/p3.png: is 32 x 48 px, its picture 48 x 32$"),
        (_colours, r"masks/p3.png: no picture of one channel, with a number for each pixel$"),
        (_unknown_number, r"masks/p3.png: has the number 7, there are 2 labels \(from 0\)$"),
        (_nothing, r"its masks show nothing but 'ground'; nothing can be learned$"),
        (_empty, r"images: there are none"),
        (_three, r"3 pictures with masks; 6 or more are wanted$"),
    ],
)
def test_bad_data_is_one_line(tmp_path, spoil, says):
    spoil(drawn.masked(tmp_path / "d", 7))
    with pytest.raises(ConvertError, match=says) as caught:
        masks.read(tmp_path / "d", LEGEND)
    assert "\n" not in str(caught.value)


def test_a_folder_without_masks_says_what_is_wanted(tmp_path):
    with pytest.raises(ConvertError, match=r"wants images/NAME.jpg and masks/NAME.png$"):
        masks.read(tmp_path, LEGEND)
