"""How strange a picture is to a net that has only seen normal ones, and how well that parts the strange from the rest.

Scars     draws into pictures what does not belong there: a net learns to draw them without
error     a picture beside how the net has drawn it -> how strange it is
auroc     normal and strange values -> chance that a strange one is the greater
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike

from agent.cli.detect import read_image
from agent.data import Array
from agent.detect.secondary.network import Network
from agent.detect.secondary.novelty import Novelty
from models.augment import Augment

_SMOOTH = 1 / 24  # of the shorter side: errors smaller than this are an edge a little off, not a defect
_WORST = 0.01  # share of a picture that speaks for it
_MOST = 4  # scars a picture


@dataclass(frozen=True, slots=True)
class Scars:
    """Call it with a generator and a batch: scarred pictures, and what they were before."""

    augment: Augment

    def __call__(self, generator: np.random.Generator, x: Array, y: Array) -> tuple[Array, Array]:
        """(N, h, w, 3) uint8 -> pictures with scars, and the same without; `y` is not looked at."""
        clean, _ = self.augment(generator, x, y[:, :1, :1])
        scarred = clean.copy()
        for row, image in enumerate(scarred):
            other = clean[generator.integers(len(clean))]
            for _ in range(int(generator.integers(_MOST + 1))):
                scarred[row] = _scarred(generator, image, other)
        return scarred, clean


def _scarred(generator: np.random.Generator, image: Array, other: Array) -> Array:
    """One blot or stroke, filled with another picture's content, a grey level, or noise."""
    height, width = image.shape[:2]
    side, mask = min(height, width), np.zeros((height, width), np.uint8)
    middle = (int(generator.integers(width)), int(generator.integers(height)))
    if generator.random() < 0.5:
        axes = [max(1, int(a)) for a in generator.uniform(0.02, 0.15, 2) * side]
        cv2.ellipse(mask, middle, axes, float(generator.uniform(0, 180)), 0, 360, 1, -1)
    else:
        end = np.array(middle) + generator.uniform(-0.5, 0.5, 2) * side
        cv2.line(mask, middle, end.astype(int).tolist(), 1, int(generator.integers(1, max(2, side // 24) + 1)))
    kind, level = generator.integers(3), float(generator.uniform(-80, 80))
    if kind == 0:
        fill = np.roll(other, generator.integers(side, size=2), axis=(0, 1))
    elif kind == 1:
        fill = np.clip(image + level, 0, 255)
    else:
        fill = np.clip(image + generator.normal(0, abs(level), (height, width, 1)), 0, 255)
    image[mask > 0] = fill[mask > 0]
    return image


def error(fed: Array, drawn: Array) -> float:
    """(h, w, 3) 0..255 and how it was drawn -> mean smoothed error of the worst hundredth, in grey levels."""
    apart = np.abs(fed.astype(np.float32) - drawn).mean(axis=2)
    smooth = cv2.GaussianBlur(apart, (0, 0), max(0.5, _SMOOTH * min(apart.shape)))
    worst = np.sort(smooth, axis=None)[-max(1, round(_WORST * smooth.size)) :]
    return float(worst.mean())


def by_drawing(model: Path, paths: Sequence[Path], x: Array) -> Array:
    """(N,) of an int8 autoencoder, as the agent runs it; `x` are the pictures at its size."""
    network = Network(model)
    head = network.model.reconstructor()
    drawn = (head.image(network.run(read_image(path))[0]) for path in paths)
    return np.array([error(fed, one) for fed, one in zip(x, drawn, strict=True)])


def by_novelty(model: Path, paths: Sequence[Path]) -> Array:
    """(N,) of a file of `python -m convert novelty`."""
    eye = Novelty(model)
    return np.array([eye.look(read_image(path))[0] for path in paths])


def auroc(normal: ArrayLike, strange: ArrayLike) -> float:
    """Share of pairs in which the strange one is greater; ties count half. Of (A,) and (B,); nan where one is empty."""
    low, high = np.sort(normal), np.asarray(strange)
    if not len(low) or not len(high):
        return float("nan")
    below = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float(np.mean(np.add(*below)) / 2 / len(low))
