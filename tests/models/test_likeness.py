"""Names held out whole, and what vectors of them are worth."""

import numpy as np
import pytest

from convert import ConvertError
from models import likeness
from models.pictures import Pictures
from tests.models.made import folder


def test_no_name_is_in_both_parts(tmp_path):
    folder(tmp_path / "d", dict.fromkeys("abcdefghij", 3))
    learned, held = likeness.read(tmp_path / "d", seed=1)
    assert len(held.names) == 2
    assert sorted(learned.names + held.names) == list("abcdefghij")
    assert all(path.parent.name == held.names[label] for path, label in zip(held.paths, held.labels, strict=True))


def test_train_and_test_that_share_no_name_stay_as_they_are(tmp_path):
    folder(tmp_path / "train", {"a": 3, "b": 3})
    folder(tmp_path / "test", {"c": 3, "d": 3})
    learned, held = likeness.read(tmp_path, seed=0)
    assert (learned.names, held.names) == (("a", "b"), ("c", "d"))


def test_train_and_test_that_share_names_are_dealt_out_anew_by_name(tmp_path):
    for part in ("train", "test"):
        folder(tmp_path / part, dict.fromkeys("abcde", 3))
    learned, held = likeness.read(tmp_path, seed=0)
    assert not set(learned.names) & set(held.names)
    assert (len(learned), len(held)) == (18, 12)


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"anna": 5}, r"one class only \(anna\)"),
        ({"anna": 5, "bert": 5, "carl": 5}, r"3 names; two to learn from and two to judge by are the least$"),
        ({"anna": 5, "bert": 5, "carl": 5, "dora": 2}, r"'dora' has 2 pictures; 3 are the least"),
        ({"anna": 5, "bert": 5, "carl": 5, "dora": 0}, r"'dora' is empty"),
        ({}, r"no folders with pictures"),
    ],
)
def test_too_few_names_or_pictures_are_one_line(tmp_path, counts, says):
    folder(tmp_path / "d", counts)
    with pytest.raises(ConvertError, match=says) as caught:
        likeness.read(tmp_path / "d", seed=0)
    assert "\n" not in str(caught.value)


def test_worth_of_vectors_that_tell_all_apart_and_of_some_that_tell_nothing():
    held = Pictures((), np.array([0, 0, 1, 1]), ("a", "b"))
    gallery = Pictures((), np.array([0, 1, 2]), ("b", "a", "c"))
    right = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
    known = np.eye(3, dtype=np.float32)[[1, 0, 2]]
    found = likeness.worth(held, right, gallery, known)
    assert (found.equal, found.pairs, found.recall) == (0.0, (2, 4), (1.0, 1.0))
    swapped = likeness.worth(held, right, gallery, known[[1, 0, 2]])
    assert swapped.recall == (0.0, 1.0)
    alike = likeness.worth(held, np.ones((4, 1), np.float32))
    assert alike.equal == 0.5
    assert np.isnan(alike.recall[0])


def test_whitening_forgets_how_pictures_of_one_name_differ():
    generator = np.random.default_rng(0)
    names, labels = generator.normal(size=(40, 12)), np.repeat(np.arange(40), 8)
    nuisance = (
        generator.normal(size=(320, 1)) * 3 @ generator.normal(size=(1, 12))
    )  # light, say: the same for all names
    features = (names[labels] + nuisance + generator.normal(size=(320, 12)) * 0.1).astype(np.float32)
    learned, held = labels < 30, labels >= 30
    matrix, bias = likeness.whitening(features[learned], labels[learned], 20, seed=0)
    assert (matrix.shape, bias.shape) == ((12, 20), (20,))  # more numbers than there are directions

    def equal(vectors):
        known = Pictures((), labels[held] - 30, tuple("abcdefghij"))
        return likeness.worth(known, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).equal

    before, after = equal(features[held] - features[learned].mean(axis=0)), equal(features[held] @ matrix + bias)
    assert after < before / 3
    ranges = np.ptp(features[learned] @ matrix + bias, axis=0)
    assert ranges.max() < 4 * ranges.min()  # one scale of int8 suits all numbers


def test_whitened_pictures_of_one_name_differ_nearly_alike_in_all_directions():
    generator = np.random.default_rng(1)
    labels = np.repeat(np.arange(20), 10)
    within = generator.normal(size=(200, 4)) * [1, 2, 4, 8]
    features = (generator.normal(size=(20, 4))[labels] + within).astype(np.float32)
    matrix, bias = likeness.whitening(features, labels, 4, seed=0)
    white = features @ matrix + bias
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-4)
    spreads = [np.cov((v - np.repeat([v[labels == i].mean(axis=0) for i in range(20)], 10, axis=0)).T)
               for v in (features, white)]  # fmt: skip
    assert np.linalg.cond(spreads[1]) < np.linalg.cond(spreads[0]) / 4  # SHRINK leaves some


def test_recall_counts_a_name_among_the_first_few():
    known, names = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), ["x", "y", "z"]
    asked = np.array([[1.0, 0.0]])
    assert likeness.recall(asked, ["y"], known, names, 1) == 0.0
    assert likeness.recall(asked, ["y"], known, names, 2) == 1.0
