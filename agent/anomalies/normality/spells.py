"""How strange the strangest moment of ten minutes usually is, and from where on it is too much for a day's alarms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.anomalies.normality.tails import LEAST, Tail, Tails
from agent.data import Array

_LEAST_LIMIT, _SLOWER = 1.5, 10  # no limit is lower; of spells beyond it one in so many is learned
SPELL_S = 600.0


class Spells:
    """The strangest moments so far of one number that says how strange things are."""

    def __init__(self, a_day: float, before: Tail, first: float) -> None:
        """`a_day`: so many alarms; `before` and `first`: tail and limit, powers of ten, before there is anything."""
        self.a_day = a_day
        self.tails, self.limit = Tails(before, least=before.scale), first
        self._strange = 0
        self._since, self._peak = -np.inf, 0.0

    def judge(self, value: Array, t: float) -> Array:
        """(N,) at `t` s -> (N,): -log10 of the share of spells that get so far; the strangest is remembered."""
        self._peak = max(self._peak, float(value.max(initial=0.0)))
        rarity = self.tails.rarity(value[:, None])[:, 0]
        if not 0 <= t - self._since < SPELL_S:
            self._over()
            self._since, self._peak = t, 0.0
        return np.asarray(rarity)

    def refresh(self, days: float) -> None:
        """From now on what was learned, in so many watched days, counts: so many spells of a day are told."""
        self.tails.fit()
        if self.tails.count >= LEAST:
            a_day = self.tails.count / max(days, 1e-3)
            self.limit = max(float(np.log10(a_day / self.a_day)), _LEAST_LIMIT)

    def at_limit(self) -> float:
        """The value that is just as rare as the limit."""
        return float(self.tails.reached(self.limit)[0])

    def _over(self) -> None:
        """A spell is over: what was strangest in it is learned, if there was anything."""
        if self._peak > 0:
            beyond = self.tails.rarity(np.array([[self._peak]]))[0, 0] > self.limit
            self._strange += int(beyond)
            if not beyond or self._strange % _SLOWER == 0:
                self.tails.add(np.array([self._peak]))


def share(among: Sequence[Spells], a_day: float) -> None:
    """So many alarms a day in all, for each as many as it has spells: so their limits are one, and who has nothing to
    tell here leaves his share to the others."""
    counts = [max(one.tails.count, 1) for one in among]
    for one, count in zip(among, counts, strict=True):
        one.a_day = a_day * count / sum(counts)
