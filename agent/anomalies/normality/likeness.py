"""What tracks were like: a few thousand remembered moments, and how far a new one is from the nearest of them.

A moment is a point: where, which way and how fast (in sizes of the object a second, so that what is near and large is
compared with what is far and small), how large, with which label. Place and movement are judged together: the other
lane is another place, and the right speed there is the wrong way here.

    a new moment   like one that is known, nearer than NEAR   that one moves there: it is what was seen last
                   unlike all                                 it is added, for the one not seen again for longest

Nearest neighbours over velocities are the core of Reiss & Hoshen's detector (2022). That a moment stands for its
neighbourhood keeps what is rare but normal, where a random sample would crowd it out, and bounds the memory.
"""

from __future__ import annotations

import numpy as np

from agent.data import Array

MOST = 4096  # moments
KINDS = 8  # labels that are told apart, by the order in which they were first seen; all further ones are one
WIDE = 5 + KINDS
FAR = 4.0  # no distance is longer: nothing at all is known
_NEAR = 0.2
_PLACE = 1 / 16  # of the frame width is a distance of 1,
_SLOW, _SPEED = 0.3, 2.0  # so is a speed half as much again, where it is much more than _SLOW sizes a second,
_SIZE, _LABEL = 2.0, 0.5  # and a size. Labels of small models flicker: another one alone is little
_BLOCK = 16_384  # pairs that are compared at a time: so small a product wakes no thread of a BLAS


class Likeness:
    """One camera's moments."""

    def __init__(self) -> None:
        self._all = np.zeros((MOST, WIDE + 1), np.float32)  # and beside each the square of its length
        self._seen = np.zeros(MOST)  # days of watching, when each was last seen
        self._count = 0

    @property
    def moments(self) -> Array:
        """(N, WIDE) float32."""
        return self._all[: self._count, :WIDE]

    @property
    def seen(self) -> Array:
        """(N,) days of watching, when each was last seen."""
        return self._seen[: self._count]

    def remember(self, moments: Array, seen: Array) -> None:
        """These (N, WIDE), (N,), and nothing else; the last MOST of them."""
        self._count = min(len(moments), len(seen), MOST)
        self.moments[:], self.seen[:] = moments[: self._count], seen[: self._count]
        self._all[: self._count, WIDE] = (self.moments * self.moments).sum(axis=1)

    def distance(self, points: Array) -> tuple[Array, Array]:
        """(K, WIDE) -> (K,) how far the nearest moment is, FAR at most, and (K,) which it is."""
        best, which = np.full(len(points), np.inf, np.float32), np.zeros(len(points), np.intp)
        k, asked = np.arange(len(points)), np.column_stack([-2 * points, np.ones(len(points), np.float32)])
        step = max(_BLOCK // max(len(points), 1), 64)
        for first in range(0, self._count, step):
            block = slice(first, min(first + step, self._count))
            apart = asked @ self._all[block].T  # square of the distance, but for the point's own length
            nearest = apart.argmin(axis=1)
            better = apart[k, nearest] < best
            best[better], which[better] = apart[k, nearest][better], first + nearest[better]
        return np.minimum(np.sqrt(np.maximum(best + (points * points).sum(axis=1), 0.0)), FAR), which

    def learn(self, points: Array, days: float) -> None:
        """These moments (K, WIDE) of one track were seen, after so many days of watching."""
        if not len(points):
            return
        apart, which = self.distance(points)
        for one, is_known, place in zip(points, (apart <= _NEAR).tolist(), which.tolist(), strict=True):
            if is_known:
                row = place
            elif self._count < MOST:
                row, self._count = self._count, self._count + 1
            else:
                row = int(self._seen.argmin())
            self._all[row, :WIDE], self._all[row, WIDE], self._seen[row] = one, one @ one, days

    def forget(self, since: float) -> None:
        """Moments that were not seen again since that day of watching are gone."""
        kept = self.seen >= since
        if not kept.all():
            self.remember(self.moments[kept], self.seen[kept])


def point(foot: Array, scale: Array, velocity: Array, kind: Array) -> Array:
    """Feet (K, 2) and sizes (K,) in frame widths, velocity (K, 2) widths/s, kind (K,) int -> moments (K, WIDE)."""
    pace = velocity / scale[:, None]
    speed = np.maximum(np.hypot(pace[:, 0], pace[:, 1]), 1e-9)
    way = pace * (_SPEED * np.log1p(speed / _SLOW) / speed)[:, None]
    label = _LABEL * (np.minimum(kind, KINDS - 1)[:, None] == np.arange(KINDS))
    return np.column_stack([foot / _PLACE, way, _SIZE * np.log(scale), label]).astype(np.float32)
