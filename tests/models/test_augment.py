"""Changed pictures keep what they show: masks and boxes follow, nothing moves that should not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import scenery
from models.augment import Augment

NOTHING = Augment(degrees=0.0, zoom=0.0, shift=0.0, light=0.0)


def test_no_change_changes_nothing():
    x = np.random.default_rng(0).integers(0, 256, (3, 12, 16, 3)).astype(np.uint8)
    images, y = NOTHING(np.random.default_rng(1), x, np.arange(3))
    np.testing.assert_array_equal(images, x)
    np.testing.assert_array_equal(y, np.arange(3))


def test_a_mask_follows_its_picture():
    x = np.zeros((4, 40, 52, 3), np.uint8)
    x[:, 8:20, 12:30] = 255
    y = (x[..., 0] > 0).astype(np.int32)
    images, masks = Augment(degrees=30.0, flips="both", light=0.0)(np.random.default_rng(2), x, y)
    assert masks.dtype == np.int32
    assert np.abs(images - x.astype(int)).max() > 0
    assert np.mean((images[..., 0] > 127) == (masks > 0)) > 0.99


@given(st.integers(0, 1000), st.floats(0, 30), st.floats(0, 0.2))
def test_no_point_goes_further_than_the_limits_say(seed, degrees, zoom):
    matrix = Augment(degrees=degrees, zoom=zoom, shift=0.0).matrix(np.random.default_rng(seed), (31, 21))
    linear = matrix[:, :2]
    np.testing.assert_allclose(matrix @ [15, 10, 1], [15, 10], atol=1e-9)  # the middle stays
    scale = np.sqrt(np.linalg.det(linear))
    assert 1 - zoom - 1e-9 <= scale <= 1 + zoom + 1e-9
    assert abs(np.rad2deg(np.arctan2(linear[1, 0], linear[0, 0]))) <= degrees + 1e-6


@pytest.mark.parametrize(("flips", "signs"), [("none", {1}), ("horizontal", {1, -1})])
def test_digits_are_never_mirrored_unless_asked(flips, signs):
    change = Augment(flips=flips)
    found = {int(np.sign(np.linalg.det(change.matrix(np.random.default_rng(i), (8, 8))[:, :2]))) for i in range(40)}
    assert found == signs


def test_any_way_up_is_all_eight_ways():
    change = Augment(degrees=0.0, zoom=0.0, shift=0.0, flips="any")
    found = {tuple(np.round(change.matrix(np.random.default_rng(i), (8, 8))[:, :2]).astype(int).ravel().tolist())
             for i in range(99)}  # fmt: skip
    assert len(found) == 8


def test_stops_double_or_halve_the_light_and_draw_nothing_without():
    image = np.full((4, 4, 3), 40, np.uint8)
    found = [int(Augment(light=0.0, stops=2.0).lit(np.random.default_rng(i), image)[0, 0, 0]) for i in range(200)]
    assert 10 <= min(found) <= 12
    assert 150 <= max(found) <= 160
    assert 0.35 < np.mean(np.array(found) < 40) < 0.65  # as often darker as brighter
    same = [Augment(light=0.2, stops=stops).lit(np.random.default_rng(3), image) for stops in (0.0, 1e-9)]
    assert np.abs(same[0].astype(int) - same[1]).max() <= 1


def test_every_second_picture_is_out_of_focus_and_none_without_blur():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    sharp = [Augment(blur=0.05).focused(np.random.default_rng(i), image).std() > 0.999 * image.std() for i in range(99)]
    assert 30 < sum(sharp) < 70
    assert all(Augment().focused(np.random.default_rng(i), image) is image for i in range(9))


@pytest.mark.parametrize("kind", scenery.KINDS)
def test_made_up_pictures_differ_and_are_the_same_for_the_same_seed(kind):
    image, other = np.random.default_rng(0).integers(40, 200, (2, 48, 64, 3)).astype(np.uint8)
    one, two, three = (scenery.KINDS[kind](np.random.default_rng(s), image, other) for s in (1, 1, 2))
    assert one.dtype == np.uint8
    assert one.shape == image.shape
    np.testing.assert_array_equal(one, two)
    assert (one != image).any()
    assert (one != three).any()


def test_a_defect_is_small_and_a_pasted_middle_stays():
    image = np.full((64, 64, 3), 120, np.uint8)
    other = np.full((64, 64, 3), 250, np.uint8)
    for seed in range(20):
        touched = (np.abs(scenery.defect(np.random.default_rng(seed), image, other).astype(int) - 120) > 8).any(axis=2)
        assert 0 < touched.mean() < 0.35
        pasted = scenery.paste(np.random.default_rng(seed), image, other)
        assert (pasted[24:40, 24:40] == 120).all()
        assert pasted[0, 0, 0] > 200
