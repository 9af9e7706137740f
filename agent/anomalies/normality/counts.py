"""How many are there at this hour of the week, and how unlikely so many are.

Once in a while the number that were there for most of the last seconds is taken down, for each zone, under its hour of
the week. What an hour is like is its own past and, for less, that of the hours beside it and of the same hour on other
days. Counts are Gamma-Poisson: with a the number seen and b the number of looks, the next is negative binomial with
mean a / b, and an hour of which little is known has a long tail (Gelman et al., Bayesian Data Analysis, 2.6). People
come in groups and stay for several looks, so counts scatter more than Poisson's: looks are worth less by that much.
"""

from __future__ import annotations

import math

import numpy as np

from agent.data import Array

HOURS = 168
MOST = 64  # higher counts are taken for this
_BESIDE, _OTHER_DAYS = 0.5, 0.15  # what neighbouring hours, and those of other days, count
_BELIEF = (0.25, 1.0)  # people and looks that one begins with
_SCATTER = 4.0  # at least: variance / mean of counts that hold on for several looks


class Counts:
    """One table for each zone, Z in all."""

    def __init__(self, zones: int) -> None:
        self.people = np.zeros((zones, HOURS), np.float64)  # sum of counts
        self.looks = np.zeros((zones, HOURS), np.float64)
        self.square = np.zeros((zones, HOURS), np.float64)  # sum of squared counts
        self._cached: tuple[int, Array] | None = None  # hour, (Z, MOST + 1) surprise

    def learn(self, zone: int, hour: int, count: int, weight: float) -> None:
        """So many were there at this hour of the week."""
        count = min(count, MOST)
        self.people[zone, hour] += weight * count
        self.square[zone, hour] += weight * count * count
        self.looks[zone, hour] += weight

    def fade(self, factor: float) -> None:
        """What was learned counts for so much less."""
        for table in (self.people, self.looks, self.square):
            np.multiply(table, factor, out=table)
        self._cached = None

    def surprise(self, hour: int, count: Array) -> Array:
        """(Z,): -log10 P(so many or more), at this hour of the week."""
        if self._cached is None or self._cached[0] != hour:
            rows = [_tail(*self._expected(zone, hour)) for zone in range(len(self.people))]
            self._cached = hour, np.array(rows).reshape(len(rows), MOST + 1)
        return np.asarray(self._cached[1][np.arange(len(count)), np.minimum(count, MOST)])

    def usual(self, zone: int, hour: int) -> tuple[float, float]:
        """Between how many there are mostly: the mean and two standard deviations either way, not below 0."""
        shape, rate = self._expected(zone, hour)
        mean = shape / rate
        spread = math.sqrt(mean + mean / rate)
        return max(0.0, mean - 2 * spread), mean + 2 * spread

    def _expected(self, zone: int, hour: int) -> tuple[float, float]:
        """Shape and rate of the Gamma that the hour's mean count has."""
        weight = _WEIGHTS[(np.arange(HOURS) - hour) % HOURS]
        people, looks, square = (float(weight @ table[zone]) for table in (self.people, self.looks, self.square))
        people, looks = people + _BELIEF[0], looks + _BELIEF[1]
        mean = people / looks
        scatter = max(_SCATTER, (square / looks - mean * mean) / mean)
        return people / scatter, looks / scatter


def _tail(shape: float, rate: float) -> Array:
    """-log10 P(N >= n) for n = 0..MOST, of a negative binomial."""
    n = np.arange(MOST + 200)
    steps = np.log((n + shape) / ((n + 1) * (rate + 1)))  # p(n + 1) / p(n)
    log_p = shape * math.log(rate / (rate + 1)) + np.concatenate([[0.0], steps.cumsum()])
    tail = np.exp(log_p)[::-1].cumsum()[::-1][: MOST + 1]
    return np.asarray(-np.log10(np.clip(tail, 1e-30, 1.0)))


def _weights() -> Array:
    """(168,): what an hour counts for one so many hours before it."""
    weight = np.zeros(HOURS)
    for day in range(7):
        own = 1.0 if day == 0 else _OTHER_DAYS
        for beside, share in ((0, 1.0), (1, _BESIDE), (-1, _BESIDE)):
            weight[(24 * day + beside) % HOURS] = own * share
    return weight


_WEIGHTS = _weights()
