"""Which crops can be had of a frame, how well the model sees in them, and the fewest that serve all needs.

A crop is a square; one larger than the frame's shorter side is as high or wide as the frame. None leaves the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agent import boxes
from agent.data import Array

BEST = 0.38  # longer side of an object / side of the crop: from here on the shipped model finds all that it can find
_LARGEST = 0.8  # the same, up to where it still does
_SPREAD = 0.6  # of ln(size / BEST): so far below its recall has fallen to about 1/√e
_GOOD = 0.7  # share of the best quality to be had from which a look counts
_WORTH = 0.5  # weight of needs that justifies an invoke
_SIDES = (1.0, 1.35, 1.8)  # crops tried, × the side that is best for a need
_LEAST_SIDE = 0.5  # of the model's input: more magnification shows nothing new


@dataclass(frozen=True, slots=True, eq=False)
class Needs:
    """What should be looked at; one row a need."""

    xyxy: Array  # (N, 4) px: has to lie wholly in a crop
    size: Array  # (N,) px: longer side of the object expected there
    weight: Array  # (N,): 1 = due


class Crops:
    """The crops of one camera's frames for one model."""

    def __init__(self, size: tuple[int, int], input_side: int, best: float = BEST) -> None:
        """`size` (width, height) px of the frames, `input_side` px of the model, `best` scale for its objects."""
        self.size, self.best = size, best
        self._least = _LEAST_SIDE * input_side

    def serves(self, crop: Array, xyxy: Array, size: Array) -> Array:
        """(N,) bool: needs that lie wholly in the crop, which shows them at a good scale."""
        return inside(crop, self.fit(xyxy)) & (self.quality(size, side(crop)) >= _GOOD)

    def quality(self, size: Array, side_px: Array) -> Array:
        """How well the model sees objects of `size` px in crops of `side_px`, 1 = as well as any crop can show them."""
        most = np.minimum(1.0, np.maximum(size, 1.0) / (self.best * self._least))  # of the best scale that can be had
        scale = np.log(np.maximum(size, 1.0) / (side_px * self.best * most))
        off = np.maximum(0.0, np.maximum(-scale, scale - math.log(_LARGEST / self.best))) / _SPREAD
        return np.asarray(np.exp(-0.5 * off * off))

    def around(self, xyxy: Array, size: Array) -> Array:
        """(N, 27, 4) int px: crops of three sides that hold a need in a corner, at an edge or in the middle."""
        xyxy = self.fit(xyxy)
        wh = np.array(self.size)
        sides = np.maximum((size / self.best)[:, None] * _SIDES, np.maximum(longer(xyxy), self._least)[:, None])
        wide = np.minimum(np.ceil(sides)[:, :, None], wh)  # (N, 3, 2): a crop larger than the frame is the frame
        low, high = xyxy[:, None, :2], xyxy[:, None, 2:]
        starts = np.stack([low + 0 * wide, (low + high - wide) / 2, high - wide], axis=2)  # (N, 3, place, x or y)
        starts = np.clip(np.floor(starts), 0, (wh - wide)[:, :, None])
        x, y = np.repeat(starts[..., 0], 3, axis=2), np.tile(starts[..., 1], (1, 1, 3))
        w, h = np.repeat(wide[..., :1], 9, axis=2), np.repeat(wide[..., 1:], 9, axis=2)
        return np.stack([x, y, x + w, y + h], axis=3).reshape(len(xyxy), 27, 4).astype(np.int32)

    def fit(self, xyxy: Array) -> Array:
        """Boxes cut at the frame's border."""
        return boxes.clip_xyxy(xyxy, self.size)

    def choose(self, needs: Needs, allowance: int) -> list[Array]:
        """Greedy cover: each crop is the one that serves most of what is still to be served."""
        if not allowance or needs.weight.sum() < _WORTH:
            return []
        crops = self.around(needs.xyxy, needs.size).reshape(-1, 4)  # (C, 4)
        need, weight = self.fit(needs.xyxy), needs.weight.copy()
        holds = (crops[:, None, :2] <= need[:, :2] + 1).all(2) & (crops[:, None, 2:] >= need[:, 2:] - 1).all(2)
        value = self.quality(needs.size, side(crops)[:, None])  # (C, N)
        value[~holds | (value < _GOOD)] = 0.0
        chosen: list[Array] = []
        while len(chosen) < allowance:
            worth = value @ weight
            best = int(worth.argmax())
            if worth[best] < _WORTH:
                break
            chosen.append(crops[best])
            weight[value[best] > 0] = 0.0
        return chosen


def longer(xyxy: Array) -> Array:
    """(N,) px: the longer side of each box."""
    return np.asarray(np.maximum(xyxy[:, 2] - xyxy[:, 0], xyxy[:, 3] - xyxy[:, 1]))


def grown(xyxy: Array, by: Array) -> Array:
    """Boxes with `by` (N,) px more on each side."""
    return np.asarray(xyxy + by[:, None] * np.array([-1, -1, 1, 1]))


def side(crop: Array) -> Array:
    """(...,) px: side of the square of the same area, of crops (..., 4)."""
    return np.asarray(np.sqrt((crop[..., 2] - crop[..., 0]) * (crop[..., 3] - crop[..., 1])))


def inside(crop: Array, xyxy: Array) -> Array:
    """(N,) bool: boxes that lie wholly in one crop; a pixel of rounding is forgiven."""
    return np.asarray((xyxy[:, :2] >= crop[:2] - 1).all(axis=1) & (xyxy[:, 2:] <= crop[2:] + 1).all(axis=1))
