"""YOLO folders: what they become, and what is said of bad ones before any training."""

import numpy as np
import pytest

from convert import ConvertError
from models import boxed
from tests.models import drawn


def test_a_fifth_is_held_out(tmp_path):
    learned, held = boxed.read(drawn.boxed(tmp_path / "d", 10), seed=0)
    assert (len(learned), len(held)) == (8, 2)
    assert not set(learned.paths) & set(held.paths)
    assert learned.names == ("disc",)


@pytest.mark.parametrize("part", ["test", "val", "valid"])
def test_the_makers_own_part_judges(tmp_path, part):
    drawn.boxed(tmp_path / "train", 8)
    drawn.boxed(tmp_path / part, 1, seed=1)
    learned, held = boxed.read(tmp_path, seed=0)
    assert (len(learned), [path.parts[-3] for path in held.paths]) == (8, [part])


def test_boxes_are_stretched_with_their_picture(tmp_path):
    found = boxed.folder_of(drawn.boxed(tmp_path / "d", 8))
    truth = found.truth()
    boxes = boxed.table(truth, [(96, 64)] * 8, (48, 64))
    assert boxes.shape == (8, 2, 5)
    np.testing.assert_allclose(boxes[0, :, :4], truth[0].xyxy * [0.5, 1, 0.5, 1], atol=1e-4)
    assert set(boxes[:, :, 4].flat) == {0.0}


def test_what_is_copied_reads_the_same(tmp_path):
    found = boxed.folder_of(drawn.boxed(tmp_path / "d", 8))[np.array([2, 5])]
    found.copy(tmp_path / "copy")
    again = boxed.folder_of(tmp_path / "copy", least=1)
    for a, b in zip(found.truth(), again.truth(), strict=True):
        np.testing.assert_array_equal(a.xyxy, b.xyxy)


def _line(text):
    return lambda root: (root / "labels" / "p3.txt").write_text(text)


def _alone(root):
    (root / "images" / "p3.png").unlink()


def _nothing(root):
    for path in (root / "labels").iterdir():
        path.write_text("")


def _empty(root):
    for path in (*(root / "images").iterdir(), *(root / "labels").iterdir()):
        path.unlink()


def _nameless(root):
    (root / "data.yaml").unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_line("0 0.5 0.5 0.2 0.2\n0 0.9 0.5 0.4 0.2\n"), r"p3.txt: box 2 is empty or reaches out of its picture$"),
        (_line("0 0.5 0.5 0 0.2\n"), r"p3.txt: box 1 is empty or reaches out of its picture$"),
        (_line("4 0.5 0.5 0.2 0.2\n"), r"p3.txt: has a class that data.yaml has no name for$"),
        (_line("0 0.5 0.5\n"), r"p3.txt:1: wants 'class cx cy w h'"),
        (_alone, r"labels/p3.txt: has boxes for a picture that is not in images/$"),
        (_nothing, r"no box in any label; nothing can be learned$"),
        (_empty, r"images: there are none"),
        (_nameless, r"no data.yaml there or beside it with names for the classes from 0 on$"),
    ],
)
def test_bad_data_is_one_line(tmp_path, spoil, says):
    spoil(drawn.boxed(tmp_path / "d", 9))
    with pytest.raises(ConvertError, match=says) as caught:
        boxed.folder_of(tmp_path / "d")
    assert "\n" not in str(caught.value)


def test_three_pictures_are_too_few(tmp_path):
    with pytest.raises(ConvertError, match=r"3 pictures; 10 are the least"):
        boxed.read(drawn.boxed(tmp_path / "d", 3), seed=0)
