"""Which object sizes occur where in a camera's picture: a coarse grid, learned from what was detected.

A grid cell holds a weighted mean of log(longer side of the box). A detection counts in its cell and, less, in the
eight around it; old ones fade with a half-life in seconds, so a camera that was turned learns again.
"""

from __future__ import annotations

import math

import numpy as np

from agent.data import Array

ROWS = 8  # of the grid, along the shorter side; cells are nearly square
_HALF_LIFE_S = 1800.0
_ENOUGH = 0.5  # detections' worth of weight from which a cell has an opinion
_NEIGHBOUR = 0.25


class Sizes:
    """The grid of one camera."""

    def __init__(self, size: tuple[int, int]) -> None:
        """`size` (width, height) px of the frames."""
        width, height = size
        cell = min(width, height) / ROWS
        self.columns, self.rows = max(1, round(width / cell)), max(1, round(height / cell))
        self.cell = np.array([width / self.columns, height / self.rows], np.float32)  # (width, height) px
        self._weight = np.zeros((self.rows + 2, self.columns + 2))  # with a rim, for the neighbours
        self._log_sum = np.zeros_like(self._weight)
        self._t = -math.inf

    def cells(self, xyxy: Array) -> tuple[Array, Array]:
        """(row, column), each (N,) int: the cells in which the boxes' centres lie."""
        centre = (xyxy[:, :2] + xyxy[:, 2:]) / (2 * self.cell)
        column = np.clip(centre[:, 0].astype(np.intp), 0, self.columns - 1)
        row = np.clip(centre[:, 1].astype(np.intp), 0, self.rows - 1)
        return row, column

    def learn(self, t: float, xyxy: Array) -> None:
        """Boxes (N, 4) px of whole, certain objects, seen at time `t`."""
        fade = 0.5 ** (max(0.0, t - self._t) / _HALF_LIFE_S) if math.isfinite(self._t) else 1.0
        self._t = t
        self._weight *= fade
        self._log_sum *= fade
        logs = np.log(np.maximum((xyxy[:, 2:] - xyxy[:, :2]).max(axis=1, initial=1.0), 1.0))
        for row, column, log in zip(*self.cells(xyxy), logs, strict=True):
            around = np.s_[row : row + 3, column : column + 3]
            for total, one in ((self._weight, 1.0), (self._log_sum, log)):
                total[around] += _NEIGHBOUR * one
                total[row + 1, column + 1] += (1 - _NEIGHBOUR) * one

    def expected(self) -> Array:
        """(rows, columns) px: longer side of the objects that a cell usually holds; NaN where nothing is known."""
        inner = np.s_[1:-1, 1:-1]
        weight = self._weight[inner]
        mean = np.divide(self._log_sum[inner], weight, out=np.full_like(weight, np.nan), where=weight >= _ENOUGH)
        return np.asarray(np.exp(mean))
