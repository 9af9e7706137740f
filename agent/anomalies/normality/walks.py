"""What each live track does just now: how fast, which way, how long it has stayed; and how strange that has been.

Speed is a way divided by its time, over about a second: a box that trembles goes nowhere. A track stays as long as it
is within its own size of where it stood. How far it is from what is known is a mean of some seconds, so one bad box is
not enough; strangeness is held for a while, for what was strange a moment ago is the same object now.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from agent.data import Array

MOST = 512  # tracks at a time; further ones are not judged
_STEPS = 8  # remembered places of a track
_STEP_S = 0.24  # between two of them, at least
_WAY_S = 1.0  # speed is measured over about so long,
_LEAST_S = 0.45  # and never over less
_STAY = 1.0  # sizes from where it stood that it must go, to have left
_MEAN_S = 1.0  # time constant of the mean distance,
_FULL = 0.39  # share of its weight from which on it is believed: half a second
_HELD_S = 8.0  # and of strangeness that is held
_MOMENTS, _NOTED_S = 16, 0.5  # of a track are kept until it ends, one in so long


class Walks:
    """One row a live track, all in arrays; rows of ended tracks are used again."""

    def __init__(self, wide: int) -> None:
        """`wide`: numbers that a moment has."""
        self._row: dict[int, int] = {}
        self._free = list(range(MOST))[::-1]
        self._place = np.zeros((MOST, _STEPS, 2))  # frame widths
        self._when = np.full((MOST, _STEPS), -np.inf)  # s
        self._steps = np.zeros(MOST, np.intp)
        self._stood = np.zeros((MOST, 2))  # frame widths
        self._since = np.zeros(MOST)  # s, when it came to `_stood`
        self._last = np.zeros(MOST)  # s, of the last frame,
        self._gathered = np.zeros(MOST)  # and of the last whose distance was known
        self.apart = np.zeros(MOST)  # sum of distances from what is known, of the last seconds,
        self._weight = np.zeros(MOST)  # and of their weights
        self.kind = np.zeros(MOST, np.int8)  # its label, as it was last seen
        self.most = np.zeros((MOST, 4))  # the most there was: walking, jumping, staying, in all
        self._moments = np.zeros((MOST, _MOMENTS, wide), np.float32)
        self._noted = np.zeros(MOST, np.intp)  # moments so far
        self._noting = np.zeros(MOST)  # s: from then on the next
        self.moved = np.zeros(MOST, np.bool_)  # it was not always where it is
        self.held = np.zeros(MOST)  # strangeness, held for a while
        self.due = np.zeros(MOST)  # s: from then on it is learned from again
        self.greeted = np.zeros(MOST, np.bool_)  # its hour was learned
        self.told = np.full(MOST, -1, np.int8)  # the highest bin of stay that was learned

    def __len__(self) -> int:
        return len(self._row)

    def rows(self, track_ids: Array, t: float) -> tuple[Array, Array]:
        """Which of these tracks (K,) there was room for, and their rows (K,); new ones begin."""
        known = self._row
        new = [n for n in track_ids.tolist() if n not in known]
        for n in new[: len(self._free)]:
            row = known[n] = self._free.pop()
            self._when[row], self._steps[row], self._since[row] = -np.inf, 0, t
            self._noted[row], self._noting[row] = 0, t
            self._last[row] = self._gathered[row] = t - _LEAST_S * (n < 0)  # what jumps was seen before
            self._stood[row] = np.nan
            self.apart[row] = self._weight[row] = self.most[row] = self.held[row] = 0.0
            self.greeted[row] = self.moved[row] = False
            self.due[row], self.told[row] = t + _LEAST_S, -1
        rows = np.array([known.get(n, -1) for n in track_ids.tolist()], np.intp)
        fits = np.flatnonzero(rows >= 0)
        return fits, rows[fits]

    def move(self, rows: Array, at: Array, size: Array, t: float) -> tuple[Array, Array]:
        """Tracks in `rows` (K,) are at (K, 2), of `size` (K,), frame widths -> velocity (K, 2) widths/s, stay (K,) s.

        A velocity that is not known yet is nan.
        """
        age = t - self._when[rows]  # (K, STEPS)
        best = np.where(age >= _LEAST_S, np.abs(age - _WAY_S), np.inf).argmin(axis=1)
        k = np.arange(len(rows))
        span = age[k, best]
        good = (span >= _LEAST_S) & (span <= 4 * _WAY_S)
        way = at - self._place[rows, best]
        velocity = np.where(good[:, None], way / np.where(good, span, 1.0)[:, None], np.nan)
        step = rows[age.min(axis=1) >= _STEP_S]
        slot = self._steps[step] % _STEPS
        self._place[step, slot], self._when[step, slot] = at[age.min(axis=1) >= _STEP_S], t
        self._steps[step] += 1
        left = ~(np.hypot(*(at - self._stood[rows]).T) <= _STAY * size)
        self._stood[rows[left]], self._since[rows[left]] = at[left], t
        self.told[rows[left]] = -1
        return velocity, t - self._since[rows]

    def gather(self, rows: Array, apart: Array, t: float) -> tuple[Array, Array]:
        """(K,) distance at this frame, nan: not known -> (K,) its mean so far, and (K,) s since the frame before."""
        dt = np.clip(t - self._last[rows], 0.0, 1.0)
        self._last[rows] = t
        known = np.isfinite(apart)
        one = rows[known]
        gain = 1 - np.exp(-np.clip(t - self._gathered[one], 0.0, 1.0) / _MEAN_S)
        self._gathered[one] = t
        self.apart[one] += gain * (apart[known] - self.apart[one])
        self._weight[one] += gain * (1 - self._weight[one])
        return np.asarray(self.apart[rows] / np.maximum(self._weight[rows], _FULL)), dt

    def hold(self, rows: Array, evidence: Array, strange: Array, dt: Array) -> Array:
        """(K, 3) distance as it walked, as it jumped, surprise of its stay, (K,) strangeness of this frame -> held."""
        self.held[rows] = np.maximum(strange, self.held[rows] * np.exp(-dt / _HELD_S))
        self.most[rows] = np.maximum(self.most[rows], np.column_stack([evidence, strange]))
        return np.asarray(self.held[rows])

    def ids(self) -> list[int]:
        """The tracks that are known."""
        return list(self._row)

    def note(self, rows: Array, moments: Array, t: float, limit: float) -> Array:
        """Moments (K, wide) of these tracks at `t` s: one in a while is kept until it ends, the last ones of each.

        What they take the room of, (N, wide): of who has walked on since and is not strange beyond `limit`.
        """
        due = t >= self._noting[rows]
        rows = rows[due]
        slot = self._noted[rows] % _MOMENTS
        past = self._moments[rows, slot][
            (self._noted[rows] >= _MOMENTS) & self.moved[rows] & (self.held[rows] <= limit)
        ]
        self._moments[rows, slot] = moments[due]
        self._noted[rows] += 1
        self._noting[rows] = t + _NOTED_S
        return np.asarray(past)

    def end(self, track_ids: Iterable[int]) -> list[tuple[Array, Array, int]]:
        """These tracks are no more; of those that were known what `most` says (4,), their moments (N, wide), kind."""
        rows = [self._row.pop(n) for n in track_ids if n in self._row]
        self._free += rows
        moments = [self._moments[row, : min(int(self._noted[row]), _MOMENTS)] for row in rows]
        return [(self.most[row].copy(), one, int(self.kind[row])) for row, one in zip(rows, moments, strict=True)]
