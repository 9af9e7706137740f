"""How strange a picture is, and what scars do to one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import pictures, strangeness
from models.augment import Augment
from models.strangeness import Scars
from tests.models.made import folder


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_auroc_is_the_share_of_pairs(strange, normal):
    pairs = [(a > b) + (a == b) / 2 for a in strange for b in normal]
    assert strangeness.auroc(normal, strange) == pytest.approx(np.mean(pairs))


def test_scars_change_what_is_fed_and_not_what_is_wanted():
    x = np.random.default_rng(0).integers(90, 110, (16, 32, 48, 3)).astype(np.uint8)
    still = Scars(Augment(degrees=0.0, zoom=0.0, shift=0.0, light=0.0))
    scarred, clean = still(np.random.default_rng(1), x, x)
    np.testing.assert_array_equal(clean, x)
    changed = (scarred != clean).any(axis=3).mean(axis=(1, 2))
    assert 0 < changed.mean() < 0.3  # most of a picture stays
    assert (changed == 0).any()  # a whole picture is to be drawn as it is


def test_scars_are_the_same_for_the_same_generator():
    x = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3)).astype(np.uint8)
    first, second = (Scars(Augment())(np.random.default_rng(7), x, x) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])


def test_each_picture_is_written_as_it_is_and_once_with_scars(tmp_path):
    found = pictures.folders(folder(tmp_path / "d", {"a": 8, "b": 8}, size=32), least=1)
    made = strangeness.scarred(tmp_path / "out", found, (32, 32))
    x = pictures.load(made.paths, (32, 32))
    assert len(made) == 32
    np.testing.assert_array_equal(x[:16], pictures.load(found.paths, (32, 32)))
    spoilt = (x[16:] != x[:16]).any(axis=(1, 2, 3))
    assert spoilt.mean() > 0.5
    assert not spoilt.all()
    np.testing.assert_array_equal(made.labels, np.tile(found.labels, 2))
