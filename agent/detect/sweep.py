"""The slow sweep: every place of the frame is looked at every `sweep_s`, so that what never moves is found too.

Two layers of the size grid are kept fresh: large objects, which only the whole frame shows, and objects of the size
that is usual in the cell (until the camera has learned that: what a tile of half the frame's height shows best). Any
crop that shows a cell's objects whole and at a good scale refreshes it, whatever it was run for.
"""

from __future__ import annotations

import numpy as np

from agent.data import Array
from agent.detect.crops import Crops
from agent.detect.sizes import Sizes

_LARGE = 0.4  # of the frame's shorter side
_OVERHANG = 0.5  # of its longer side, how far an object may reach out of the cell that holds its centre
_GAP_S = 1.0  # between two crops of the sweep while there is other work


class Sweep:
    """When each cell of each layer was last looked at."""

    def __init__(self, crops: Crops, sizes: Sizes, sweep_s: float, usual: float) -> None:
        """`usual` px: the size to look for where nothing is known."""
        self._crops, self._sizes, self._sweep_s, self._usual = crops, sizes, sweep_s, usual
        y, x = np.mgrid[: sizes.rows, : sizes.columns].reshape(2, -1)
        low = np.stack([x, y], axis=1) * sizes.cell
        self._cells = np.tile(np.concatenate([low, low + sizes.cell], axis=1), (2, 1))  # (2 · cells, 4) px
        self._large = _LARGE * float(min(sizes.cell * (sizes.columns, sizes.rows)))
        self._looked = np.full(len(self._cells), -np.inf)  # s
        self.due = -np.inf  # s: before then no place is overdue
        self._last = -np.inf  # s: the last crop that was run for the sweep

    @property
    def beginning(self) -> bool:
        """Some place was never looked at yet."""
        return self.due == -np.inf

    def crops(self, t: float, most: int, busy: bool = False) -> list[Array]:
        """Crops (4,) px that refresh what is overdue, the stalest place first; `busy`: other work waits."""
        chosen: list[Array] = []
        while len(chosen) < most and t >= self.due and not (busy and t - self._last < _GAP_S):
            age = (t - self._looked) / self._sweep_s
            stalest = int(age.argmax())
            self.due = float(self._looked[stalest]) + self._sweep_s
            if t < self.due:
                break
            chosen.append(self._best(np.minimum(age, 10.0), stalest))
            self._last = self._looked[stalest] = t  # looked at as well as can be, whatever the scale
            self.mark(t, chosen[-1])
        return chosen

    def _best(self, age: Array, place: int) -> Array:
        """The crop that shows this place and refreshes most, weighed by age."""
        xyxy, size = self._table()
        offers: Array = self._crops.around(xyxy[place : place + 1], size[place : place + 1])[0]
        worth = [float(age @ self._crops.serves(offer, xyxy, size)) for offer in offers]
        return np.asarray(offers[int(np.argmax(worth))])

    def mark(self, t: float, crop: Array) -> None:
        """A crop is run at `t`."""
        self._looked[self._crops.serves(crop, *self._table())] = t

    def forget(self) -> None:
        """The camera shows another view: begin anew."""
        self._looked[...] = self.due = -np.inf

    def _table(self) -> tuple[Array, Array]:
        """Box (N, 4) and size (N,) px of every cell's objects, layer by layer."""
        usual = self._sizes.expected().ravel()
        usual = np.where(np.isnan(usual), self._usual, usual)
        size = np.concatenate([np.full(len(usual), self._large), usual])
        return self._cells + (_OVERHANG * size)[:, None] * np.array([-1, -1, 1, 1]), size
