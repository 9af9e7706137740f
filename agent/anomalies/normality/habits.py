"""How often each value of an attribute occurs at each place of a picture, and how far out in its tail a value lies.

A place knows little at first. It borrows from its neighbours, they from the whole picture, and that from the belief
that any value may occur: the more, the more often something new came so far. So a value nobody ever saw is not
impossible: after n observations in all its probability is about 1 / n, and surprise grows with experience.

    surprise = -log10 P(a value as extreme as this one, here)      0: as usual   2: one in a hundred   4: ...

Which values are "as extreme" is the attribute's tail:
    high   those at least as high             (speed, stay)
    both   those at least as far out, on the nearer side, twice    (size)
    rare   those that are no more frequent    (direction, label, place, hour)
    least  those at least as high, counted by who got so far: bin b holds those that reached it    (stay)
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from agent.data import Array

Tail = Literal["high", "both", "rare", "least"]
Over = Literal["grid", "label", "picture"]  # its cells, its labels, all of it
_SEEN = 0.5  # observations from which on a value counts as seen
_TWICE = 1.5  # and as seen again: of those to come, as many are new as were seen once (Good 1953)
_FLOOR = 1e-12


class Habit:
    """Weighted counts of one attribute: (rows, columns) of places, `bins` values."""

    def __init__(
        self, places: tuple[int, int], bins: int, tail: Tail, *, over: Over = "grid", blur: float = 0.0
    ) -> None:
        """`over`: what the places are; `blur`: share of an observation that its two neighbours get."""
        self.counts = np.zeros((*places, bins), np.float32)
        self._tail, self._blur, self._over = tail, blur, over
        self.share = np.full(self.counts.shape, 1.0 / bins)
        self.surprise = np.zeros(self.counts.shape)  # -log10 of the tail, by place and bin

    def learn(self, row: Array | int, column: Array | int, value: Array, weight: Array) -> None:
        """Observations (N,) with their places, bins and weights."""
        _, columns, bins = self.counts.shape
        flat: Array = (row * columns + column) * bins + value
        np.add.at(self.counts.reshape(-1), flat, weight)

    def refresh(self) -> None:
        """Make `surprise` that of all that was learned."""
        counts = self._blurred(self.counts.astype(np.float64))
        if self._tail == "least":
            self.surprise = -np.log10(self._survival(counts))
            return
        whole = counts.sum(axis=(0, 1))
        once = max(int(np.count_nonzero((whole > 0) & (whole < _TWICE))), 1)
        whole = (whole + once / len(whole)) / (whole.sum() + once)
        if self._over == "grid":
            self.share = _mixed(counts, _mixed(_around(counts), whole))
        else:
            self.share = _mixed(counts, whole) if self._over == "label" else whole + np.zeros_like(counts)
        self.surprise = -np.log10(np.clip(_TAILS[self._tail](self.share), _FLOOR, 1.0))

    def usual(self, row: int, column: int, share: float = 0.95) -> tuple[int, int]:
        """The bins between which all but the outer parts of the values at a place lie."""
        below = np.cumsum(self.share[row, column])
        rest = (1 - share) / 2 if self._tail == "both" else 1 - share
        low = int(np.searchsorted(below, rest)) if self._tail != "least" else 0
        return low, min(int(np.searchsorted(below, 1 - rest)), len(below) - 1)

    def _blurred(self, counts: Array) -> Array:
        if not self._blur:
            return counts
        aside = np.zeros_like(counts)
        aside[..., 1:] += counts[..., :-1]
        aside[..., :-1] += counts[..., 1:]
        return (1 - self._blur) * counts + self._blur / 2 * aside

    def _survival(self, reached: Array) -> Array:
        """P(it gets at least to bin b), from how many got there: bin 0 is everybody's."""
        whole = reached.sum(axis=(0, 1))[None, None]
        further = _thinning(whole)
        further = _further(reached, _further(_around(reached), further))
        p = np.concatenate([np.ones((*reached.shape[:2], 1)), further.cumprod(axis=2)], axis=2)
        p = np.clip(p, _FLOOR, 1.0)
        self.share = p - np.concatenate([p[..., 1:], np.zeros((*p.shape[:2], 1))], axis=2)
        return np.asarray(p)


def _further(reached: Array, borrowed: Array) -> Array:
    """P(one goes on to the next bin), from how many did; what is `borrowed` counts for half of one who did."""
    return np.minimum((reached[..., 1:] + 0.5) / (reached[..., :-1] + 0.5 / borrowed), 1.0)


def _thinning(reached: Array) -> Array:
    """P(one goes on to the next bin) where there is nothing to borrow from.

    Bins that nobody has reached yet lose as many as the last that somebody reached, and half at least: of those who
    stay ever fewer go on for as long again, by every log-concave law of how long one stays (exponential, Weibull, ...).
    """
    further, last = np.empty_like(reached[..., 1:]), np.full(reached.shape[:-1], 0.5)
    for b in range(further.shape[-1]):
        is_seen = reached[..., b + 1] >= _SEEN
        further[..., b] = _further(reached[..., b : b + 2], np.where(is_seen, 0.5, last)[..., None])[..., 0]
        last = np.where(is_seen, np.minimum(further[..., b], 0.5), last)
    return further


def _around(counts: Array) -> Array:
    """The counts of the eight places around each."""
    wide = np.pad(counts, ((1, 1), (1, 1), (0, 0)))
    down = wide[:-2] + wide[1:-1] + wide[2:]
    return np.asarray(down[:, :-2] + down[:, 1:-1] + down[:, 2:] - counts)


def _mixed(counts: Array, borrowed: Array) -> Array:
    """Shares by these counts and, for what they do not know, by those that are borrowed (Witten & Bell 1991).

    Every value was new once, so as many of the observations to come are new as values were seen so far.
    """
    new = np.maximum((counts > _SEEN).sum(axis=-1, keepdims=True), 1)
    return np.asarray((counts + new * borrowed) / (counts.sum(axis=-1, keepdims=True) + new))


def _high(share: Array) -> Array:
    return np.asarray(share[..., ::-1].cumsum(axis=-1)[..., ::-1])


def _both(share: Array) -> Array:
    return np.asarray(2 * np.minimum(share.cumsum(axis=-1), _high(share)))


def _rare(share: Array) -> Array:
    order = share.argsort(axis=-1)
    sums = np.take_along_axis(share, order, axis=-1).cumsum(axis=-1)
    tail = np.empty_like(share)
    np.put_along_axis(tail, order, sums, axis=-1)
    return tail


_TAILS = {"high": _high, "both": _both, "rare": _rare}
