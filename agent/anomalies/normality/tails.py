"""How rarely a score goes so high, from the scores that there were: the upper tenth and how fast it thins out.

Exceedances over a high threshold are nearly generalised-Pareto (Pickands 1975; "peaks over threshold", Coles 2001,
ch. 4). Shape and scale are fitted by probability-weighted moments (Hosking & Wallis 1987), the shape kept within
0..0.5: a tail bounded by what was seen so far would be too bold.

Each trait of a track has a tail of its own, over the highest evidence in it of each track that is over. So a trait that
is often strange at this camera (a label that flickers, a size that trembles) must be stranger than one that never is,
and all traits speak in one unit: powers of ten of tracks. Where enough tracks of a label are known, they have tails of
their own (who): a car keeps its lane more than people keep their way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.data import Array

KEPT = 2048  # tracks
UPPER = 0.10  # share of the scores that is the tail
LEAST = 20  # scores in the tail from which its shape is fitted; before that it is a plain exponential
_NOTHING = 1e-3  # a score of no more is none
_SHAPE = (0.0, 0.5)
_LN10 = float(np.log(10))


@dataclass(frozen=True, slots=True)
class Tail:
    """Scores beyond `threshold`: so large a `share` of all, generalised-Pareto with this scale and shape."""

    threshold: float
    scale: float
    shape: float
    share: float


def tail_of(scores: Array, least_scale: float = 1e-3) -> Tail:
    """The tail of scores (N,), N > 0."""
    ordered = np.sort(scores)
    n = min(max(LEAST // 2, int(UPPER * len(ordered))), len(ordered))
    threshold = float(ordered[-n - 1]) if n < len(ordered) else float(ordered[0])
    excess = ordered[-n:] - threshold
    mean, shape = max(float(excess.mean()), 1e-3), 0.0
    if n >= LEAST:
        weights = (n - np.arange(1, n + 1) + 0.35) / n  # excess rises, so 1 - F
        moment = float((weights * excess).mean())
        shape = float(np.clip(2 - mean / max(mean - 2 * moment, 1e-6), *_SHAPE))
    return Tail(threshold, max(mean * (1 - shape), least_scale), shape, n / len(ordered))


def _is_shown(scores: Array) -> bool:
    """Whether the tail of these (N,) is to be seen: it is not where most are 0 and but a few are not."""
    return int(np.count_nonzero(scores > _NOTHING)) >= min(LEAST, int(UPPER * len(scores)) + 1)


class Tails:
    """The tails of the highest evidence of tracks, one a trait."""

    def __init__(
        self, *first: Tail, least: float | tuple[float, ...] = 0.1, kept: int = KEPT, instead: Sequence[int] = ()
    ) -> None:
        """`first`: of each column, while there are too few tracks; `least`: no scale (of it) is smaller later; `kept`:
        so many tracks are remembered; `instead`: the columns whose tails stand in where too few have any evidence."""
        self._least = np.broadcast_to(least, len(first)).tolist()
        self.peaks = np.zeros((kept, len(first)))
        self.count = 0  # tracks so far
        self._first, self._instead = first, instead or range(len(first))
        self.suppose(first)

    def add(self, peak: Array, rarest: float = np.inf) -> None:
        """A track that is over got so far in each trait; beyond what is `rarest`, powers of ten, it counts as what lies
        there does in the mean: one that is out of all proportion stretches no tail."""
        if np.isfinite(rarest):
            usual = self.reached(rarest)
            peak = np.where(peak > usual, self._beyond(usual), peak)
        self.peaks[self.count % len(self.peaks)] = peak
        self.count += 1

    def fit(self) -> None:
        """From now on the tails are those of the tracks so far, but for the first half: in the beginning all is new."""
        known = self.peaks[self.count // 2 : self.count] if self.count <= len(self.peaks) else self.peaks
        if len(known) >= LEAST:
            tails = [tail_of(column, least) for column, least in zip(known.T, self._least, strict=True)]
            shown = [tail if _is_shown(column) else None for tail, column in zip(tails, known.T, strict=True)]
            instead = [shown[k] for k in self._instead]
            self.suppose([a or b or c for a, b, c in zip(shown, instead, self._first, strict=True)])

    def rarity(self, evidence: Array) -> Array:
        """(K, columns) -> (K, columns): -log10 of the share of tracks that get so far."""
        excess = np.maximum(evidence - self._threshold, 0.0) / self._scale
        beyond = np.where(self._shape < 1e-3, excess, np.log1p(self._shape * excess) / self._bent)
        below = np.clip(evidence / self._threshold, 0.0, 1.0)
        return np.asarray(below * self._at_threshold + beyond / _LN10)

    def reached(self, rarity: float) -> Array:
        """(columns,): the evidence that is so rare, in powers of ten."""
        beyond = np.maximum(rarity - self._at_threshold, 0.0) * _LN10
        excess = np.where(self._shape < 1e-3, beyond, np.expm1(self._shape * beyond) / self._bent)
        return np.asarray(np.minimum(rarity / self._at_threshold, 1.0) * self._threshold + excess * self._scale)

    def _beyond(self, evidence: Array) -> Array:
        """(columns,) -> (columns,): the mean of what lies beyond that evidence (Coles, 4.3.1)."""
        above = np.maximum(evidence, self._threshold)
        return np.asarray(above + (self._scale + self._shape * (above - self._threshold)) / (1 - self._shape))

    def suppose(self, tails: Sequence[Tail]) -> None:
        """From now on these, one a column, are what scores are measured by."""
        self._threshold = np.array([max(tail.threshold, 1e-3) for tail in tails])
        self._scale, self._shape = np.array([tail.scale for tail in tails]), np.array([tail.shape for tail in tails])
        self._bent = np.maximum(self._shape, 1e-3)
        self._at_threshold = -np.log10(np.array([tail.share for tail in tails]))
