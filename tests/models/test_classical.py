"""Masks without a net: thresholds find what is plain, and are counted where a net is."""

import numpy as np

from models import classical
from models.masks import NOBODYS
from tests.models import drawn


def _scenes(count, seed=0):
    generator = np.random.default_rng(seed)
    made = [drawn.scene(generator) for _ in range(count)]
    return np.stack([m[0] for m in made]), np.stack([m[1] for m in made])


def test_otsu_finds_light_discs_and_dark_ones():
    x, y = _scenes(4)
    for images in (x, 255 - x):
        name, figure = classical.best(images, y, images, y)
        assert name.startswith("Otsu")
        assert figure > 0.95


def test_nobodys_pixels_cost_nothing():
    x, y = _scenes(2)
    wrong = 1 - y[:, :8]
    spoiled, free = y.copy(), y.copy()
    spoiled[:, :8], free[:, :8] = wrong, NOBODYS
    assert classical.best(x, y, x, free)[1] > 0.95 > 0.8 > classical.best(x, y, x, spoiled)[1]


def test_many_labels_are_told_by_colour_and_height():
    y = np.repeat(np.arange(3, dtype=np.uint8), (6, 9, 9))[None, :, None].repeat(16, 2).repeat(2, 0)  # bands
    x = np.zeros((2, 24, 16, 3), np.uint8)
    x[y == 0] = 200  # sky; 1 and 2 look alike and differ in height
    name, figure = classical.best(x, y, x, y)
    assert (name, figure) == ("colour and height", 1.0)
