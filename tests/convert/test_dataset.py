"""Labelled pictures in YOLO's layout."""

import numpy as np
import pytest

from convert import ConvertError, dataset


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
