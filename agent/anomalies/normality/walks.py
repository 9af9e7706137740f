"""What each live track does just now: how fast, which way, how long it has stayed; and how strange that has been.

Speed is a way divided by its time, over about a second: a box that trembles goes nowhere. A track stays as long as it
is within its own size of where it stood. Strangeness is the surprise of a few seconds, so one bad box is not enough,
and it is held for a while, for what was strange a moment ago is the same object now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from agent.data import Array

MOST = 512  # tracks at a time; further ones are not judged
_STEPS = 8  # remembered places of a track
_STEP_S = 0.24  # between two of them, at least
_WAY_S = 1.0  # speed is measured over about so long,
_LEAST_S = 0.45  # and never over less
_STAY = 1.0  # sizes from where it stood that it must go, to have left
_CHANCE = 0.5  # powers of ten: what a trait of which nothing is unusual says in the mean (0.43) and a little more
_EVIDENCE_S = 4.0  # time constant with which evidence is forgotten
_HELD_S = 8.0  # and strangeness


class Walks:
    """One row a live track, all in arrays; rows of ended tracks are used again."""

    def __init__(self, traits: int, once: Sequence[int] = ()) -> None:
        """`once`: traits whose evidence is their surprise of the moment."""
        self._once = list(once)
        self._row: dict[int, int] = {}
        self._free = list(range(MOST))[::-1]
        self._place = np.zeros((MOST, _STEPS, 2))  # frame widths
        self._when = np.full((MOST, _STEPS), -np.inf)  # s
        self._steps = np.zeros(MOST, np.intp)
        self._stood = np.zeros((MOST, 2))  # frame widths
        self._since = np.zeros(MOST)  # s, when it came to `_stood`
        self._last = np.zeros(MOST)  # s, of the last frame
        self.evidence = np.zeros(
            (MOST, traits)
        )  # surprise of the last seconds beyond chance, summed: powers of ten · s
        self.most = np.zeros((MOST, traits))  # the most evidence there was
        self.held = np.zeros(MOST)  # strangeness, held for a while
        self.peak = np.zeros(MOST)  # the most there was
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
            self._when[row], self._steps[row], self._since[row], self._last[row] = -np.inf, 0, t, t
            self._stood[row] = np.nan
            self.evidence[row] = self.most[row] = self.held[row] = self.peak[row] = 0.0
            self.greeted[row] = False
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

    def gather(self, rows: Array, surprise: Array, t: float) -> tuple[Array, Array]:
        """(K, traits) surprise of this frame -> (K, traits) evidence so far, and (K,) s since the frame before.

        A leaking CUSUM (Page 1954): what goes beyond chance adds up, what falls short of it is taken off.
        """
        dt = np.clip(t - self._last[rows], 0.0, 1.0)
        self._last[rows] = t
        grown = self.evidence[rows] * np.exp(-dt / _EVIDENCE_S)[:, None] + dt[:, None] * (surprise - _CHANCE)
        grown[:, self._once] = surprise[:, self._once]
        self.evidence[rows] = np.maximum(grown, 0.0)
        self.most[rows] = np.maximum(self.most[rows], self.evidence[rows])
        return np.asarray(self.evidence[rows]), dt

    def hold(self, rows: Array, strange: Array, dt: Array) -> Array:
        """(K,) strangeness of this frame -> (K,), held."""
        self.held[rows] = np.maximum(strange, self.held[rows] * np.exp(-dt / _HELD_S))
        self.peak[rows] = np.maximum(self.peak[rows], strange)
        return np.asarray(self.held[rows])

    def ids(self) -> list[int]:
        """The tracks that are known."""
        return list(self._row)

    def end(self, track_ids: Iterable[int]) -> list[tuple[float, Array]]:
        """These tracks are no more; the most that each was strange, and its evidence (traits,)."""
        rows = [self._row.pop(n) for n in track_ids if n in self._row]
        self._free += rows
        return [(float(self.peak[row]), self.most[row].copy()) for row in rows]
