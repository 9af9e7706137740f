"""Labelled pictures: boxes, classes, masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.detect.letterbox import Placement
from agent.modelfile import Card, Input
from convert import ConvertError
from convert.accuracy import dataset
from convert.accuracy.compare import Recording, Seen


def labelled(folder, text, names=None):
    (folder / "labels").mkdir(parents=True)
    (folder / "labels" / "a.txt").write_text(text)
    if names is not None:
        (folder / "data.yaml").write_text(names)
    return folder


def truth(folder, labels=("person", "car")):
    return dataset.truth(folder, [folder / "images" / "a.jpg", folder / "images" / "b.jpg"], [(200, 100)] * 2, labels)


def test_shares_become_px_of_a_picture_that_is_not_square(tmp_path):
    first, second = truth(labelled(tmp_path, "1 0.5 0.5 0.2 0.4\n\n0 0.1 0.2 0.1 0.1\n"))
    np.testing.assert_allclose(first.xyxy, [[80, 30, 120, 70], [10, 15, 30, 25]], atol=1e-4)
    assert first.class_id.tolist() == [1, 0]
    assert len(second) == 0  # no label file: nothing in the picture


def test_classes_are_matched_by_name_and_unknown_ones_left_out(tmp_path):
    folder = labelled(tmp_path, "0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n2 .5 .5 .1 .1\n", "names: [boat, person, car]\n")
    assert truth(folder)[0].class_id.tolist() == [0, 1]


@pytest.mark.parametrize(
    "text",
    [
        "path: .\nnames:\n  0: person\n  1: traffic light  # red\n",
        "names:\n- person\n- 'traffic light'\nnc: 2\n",
        'names: ["person",\n  traffic light]\n',
        "names:\n\n  1: traffic light\n  0: person\ntrain: images\n",
    ],
    ids=["numbered", "listed", "inline", "unordered"],
)
def test_names_are_read_however_they_are_written(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text)
    assert dataset.class_names(tmp_path) == {0: "person", 1: "traffic light"}


def test_names_may_lie_beside_the_folder(tmp_path):
    (tmp_path / "data.yaml").write_text("names: [person]")
    assert dataset.class_names(tmp_path / "evaluate") == {0: "person"}
    assert dataset.class_names(tmp_path / "a" / "b") == {}


def test_real_names_are_coco_s_80(data_dir):
    names = dataset.class_names(data_dir / "coco" / "evaluate")
    assert len(names) == 80
    assert (names[0], names[79]) == ("person", "toothbrush")


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        ("0 0.5 0.5 0.1\n", None, r"a\.txt:1: wants 'class cx cy w h', is '0 0.5 0.5 0.1'"),
        ("0 .5 .5 .1 .1\nperson .5 .5 .1 .1\n", None, r"a\.txt:2: wants"),
        ("0 .5 .5 .1 .1\n", "nc: 3\n", r"data\.yaml: has no names"),
        ("0 .5 .5 .1 .1\n", "names: [zebra]\n", "none of its class names is a label of the model"),
    ],
)
def test_what_is_not_labels_is_an_error_that_says_where(tmp_path, text, names, message):
    with pytest.raises(ConvertError, match=message):
        truth(labelled(tmp_path, text, names))


def test_a_polygon_is_the_box_around_it(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .1 .2 .5 .2 .3 .8\n")
    (found,) = dataset.truth(tmp_path, [Path("a.jpg")], [(100, 50)], ("person",))
    np.testing.assert_allclose(found.xyxy, [[10, 10, 50, 40]], atol=1e-4)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(("dog", "cat"), [1, 0]), (("background", "dog", "cat"), [2, 1]), (("x", "y"), [0, 1])],
    ids=["by name", "by name, some unused", "by place"],
)
def test_folders_name_classes(tmp_path, labels, expected):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    paths = [tmp_path / "cat" / "1.jpg", tmp_path / "dog" / "1.jpg"]
    assert dataset.classes(tmp_path, paths, labels) == expected


def test_folders_that_are_neither_the_labels_nor_as_many_are_an_error(tmp_path):
    for name in ("cat", "dog", "emu"):
        (tmp_path / name).mkdir()
    with pytest.raises(ConvertError, match=r"3 folders, the model has 2 labels and none is 'emu'; name the folders"):
        dataset.classes(tmp_path, [], ("cat", "dog"))


def masked(tmp_path, mask, size=(40, 20)):
    """A recording of one picture, letterboxed into 40 x 40: bars of 10 px above and below."""
    (tmp_path / "masks").mkdir(exist_ok=True)
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), mask)
    card = Card("segment", "segment", ("a", "b"), Input((40, 40)))
    seen = Seen((), Placement((40 / size[0], 20 / size[1]), (0, 10)), size)
    return Recording(card, (), (seen,))


def test_a_mask_goes_where_its_picture_went(tmp_path):
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 10:], mask[0, 0] = 1, 255
    recording = masked(tmp_path, mask, size=(20, 10))
    (found,) = dataset.of(tmp_path, [tmp_path / "images" / "a.png"], recording, "mask")
    assert found.shape == (40, 40)
    assert (found[:10] == -1).all()  # the bars are nobody's
    assert (found[30:] == -1).all()
    assert (found[10:12, :2] == -1).all()  # 255
    assert (found[12:30, :20] == 0).all()
    assert (found[10:30, 20:] == 1).all()


def test_masks_that_do_not_fit_are_an_error(tmp_path):
    recording = masked(tmp_path, np.zeros((5, 5), np.uint8))
    with pytest.raises(ConvertError, match=r"a\.png: is \(5, 5\), wants one channel of class numbers, 20 x 40"):
        dataset.of(tmp_path, [tmp_path / "a.jpg"], recording, "mask")
    with pytest.raises(ConvertError, match=r"masks/b\.png: is not there"):
        dataset.of(tmp_path, [tmp_path / "b.jpg"], recording, "mask")


def test_pictures_alone_have_no_truth(tmp_path):
    assert dataset.of(tmp_path, [tmp_path / "a.jpg"], masked(tmp_path, np.zeros((2, 2), np.uint8)), "decode") is None
    assert dataset.of(tmp_path, [], masked(tmp_path, np.zeros((2, 2), np.uint8)), "vector") is None
