"""How many are in each zone against what is usual at this hour of the week; a number counts once it holds.

Of the whole picture it is how many there are where there is somebody: that somebody is there at all, at this hour, is
for the traits of tracks to say.
"""

from __future__ import annotations

import numpy as np

from agent.anomalies.normality.counts import MOST, Counts
from agent.anomalies.normality.spells import Spells
from agent.anomalies.normality.tails import Tail
from agent.data import Array

_SURPRISE = Tail(2.0, 0.43, 0.0, 0.1)  # of a spell, before there are spells
_FIRST = 4.0  # the limit before there is anything to go by: powers of ten
_LOOK_S = 60.0  # a number is learned so often
_STEADY_S = 7.0  # time constant of how often of late a number was reached; one holds that was so half of the time
_SLOWLY = 0.1
_WARM_S = 3600.0  # watched before numbers are judged at all


class Many:
    """The numbers of Z zones at one camera."""

    def __init__(self, zones: int, a_day: float) -> None:
        self.counts, self.spells = Counts(zones), Spells(a_day, _SURPRISE, _FIRST)
        self._reached = np.zeros((zones, MOST))  # share of the last seconds in which there were 1, 2, ... or more
        self._last = -np.inf  # s
        self.steady = np.zeros(zones, np.intp)  # the number that holds
        self._look = -np.inf  # s

    def look(self, count: Array, t: float, watched_s: float, hour: int) -> Array:
        """`count` (Z,) at `t` s, at this hour of the week -> (Z,) strangeness in powers of ten; learns."""
        gain = 1 - np.exp(-min(max(t - self._last, 0.0), 1e3) / _STEADY_S)
        self._last = t
        self._reached += gain * ((count[:, None] > np.arange(MOST)) - self._reached)
        self.steady = (self._reached >= 0.5).sum(axis=1)
        strange = self.counts.surprise(hour, self.steady)
        strange[-1] -= min(strange[-1], self.counts.surprise(hour, np.ones_like(self.steady))[-1])
        strange = np.where(strange <= -np.log10(0.5), 0.0, strange) if watched_s >= _WARM_S else np.zeros(len(count))
        strange = self.spells.judge(strange, t)
        if not 0 <= t - self._look < _LOOK_S:
            self._look = t
            for zone, weight in enumerate(np.where(strange > self.spells.limit, _SLOWLY, 1.0).tolist()):
                self.counts.learn(zone, hour, int(self.steady[zone]), weight)
        return strange
