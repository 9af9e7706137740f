"""How many are in each zone against what is usual at this hour of the week; a number counts once it holds."""

from __future__ import annotations

import numpy as np

from agent.anomalies.normality.counts import MOST, Counts
from agent.anomalies.normality.tails import LEAST, Tail, Tails
from agent.data import Array

_SURPRISE = Tail(2.0, 0.43, 0.0, 0.1)  # of a spell, before there are spells
_LEAST, _SLOWER = 2.0, 10  # no limit is lower; of spells beyond it one in so many is learned
_FIRST = 4.0  # the limit before there is anything to go by: powers of ten
_LOOK_S = 60.0  # a number is learned so often,
_SPELL_S = 600.0  # and the strangest of so long goes into the limit
_STEADY_S = 7.0  # time constant of how often of late a number was reached; one holds that was so half of the time
_SLOWLY = 0.1
_WARM_S = 3600.0  # watched before numbers are judged at all


class Many:
    """The numbers of Z zones at one camera."""

    def __init__(self, zones: int, a_day: float) -> None:
        self.counts, self.tails, self.limit = Counts(zones), Tails(1, _SURPRISE), _FIRST
        self._a_day, self._strange = a_day, 0
        self._reached = np.zeros((zones, MOST))  # share of the last seconds in which there were 1, 2, ... or more
        self._last = -np.inf  # s
        self.steady = np.zeros(zones, np.intp)  # the number that holds
        self._look, self._spell, self._peak = -np.inf, -np.inf, 0.0

    def look(self, count: Array, t: float, watched_s: float, hour: int) -> Array:
        """`count` (Z,) at `t` s, at this hour of the week -> (Z,) strangeness in powers of ten; learns."""
        gain = 1 - np.exp(-min(max(t - self._last, 0.0), 1e3) / _STEADY_S)
        self._last = t
        self._reached += gain * ((count[:, None] > np.arange(MOST)) - self._reached)
        self.steady = (self._reached >= 0.5).sum(axis=1)
        strange = self.counts.surprise(hour, self.steady)
        strange = np.where(strange <= -np.log10(0.5), 0.0, strange) if watched_s >= _WARM_S else np.zeros(len(count))
        self._peak = max(self._peak, float(strange.max(initial=0.0)))
        strange = self.tails.rarity(strange[:, None])[:, 0]
        if not 0 <= t - self._look < _LOOK_S:
            self._look = t
            for zone, weight in enumerate(np.where(strange > self.limit, _SLOWLY, 1.0).tolist()):
                self.counts.learn(zone, hour, int(self.steady[zone]), weight)
        if not 0 <= t - self._spell < _SPELL_S:
            self._over()
            self._spell, self._peak = t, 0.0
        return np.asarray(strange)

    def refresh(self, days: float) -> None:
        """From now on what was learned, in so many watched days, counts: so many spells of a day are told."""
        self.tails.fit()
        if self.tails.count >= LEAST:
            a_day = self.tails.count / max(days, 1e-3)
            self.limit = max(float(np.log10(a_day / self._a_day)), _LEAST)

    def _over(self) -> None:
        """A spell is over: what was strangest in it is learned, if there was anything."""
        if self._peak > 0:
            beyond = self.tails.rarity(np.array([[self._peak]]))[0, 0] > self.limit
            self._strange += int(beyond)
            if not beyond or self._strange % _SLOWER == 0:
                self.tails.add(np.array([self._peak]))
