"""Each track against the habits of its place: how strange it has been of late, and what is learned from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent import boxes
from agent.anomalies.normality.tails import LEAST, Tail, Tails
from agent.anomalies.normality.traits import HOUR, NAMES, ONCE, SPEED, STAY, Seen, Traits, grid_of
from agent.anomalies.normality.walks import Walks
from agent.data import Array, Tracks

_FIRST = 3.0  # the limit before there is anything to go by: powers of ten
_EVIDENCE = Tail(2.0, 0.5, 0.0, 0.1)  # of a track in one trait, before there are tracks; no scale is smaller
_LEAST = 2.0  # no limit is lower
_SLOWER, _SLOWLY = 10, 0.1  # what is beyond the limit counts so much in learning
_GROUP = 3  # boxes of its own label within a box: a group, no object
_EACH_S = 1.0  # who moves is learned from so often,
_GROWN = 0.3  # who stays when the stay has grown by this share


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """K tracks at one frame."""

    row: Array  # (K,) in the frame's tracks
    seen: Seen
    strange: Array  # (K,) powers of ten, of the last seconds
    trait: Array  # (K,) int, which trait says most

    def name(self, k: int) -> str:
        """Of the trait that says most about track k."""
        return NAMES[int(self.trait[k])]


class Who:
    """What tracks are like at one camera."""

    def __init__(self, a_day: float) -> None:
        """`a_day`: so many alarms."""
        self.walks, self.limit = Walks(len(NAMES), ONCE), _FIRST
        self._a_day, self._strange = a_day, 0
        self.tails = Tails(len(NAMES), _EVIDENCE)
        self.traits: Traits | None = None  # until the shape of the picture is known

    def look(self, tracks: Tracks, rows: Array, size: tuple[int, int], t: float, hour: int) -> Judged:
        """The tracks in `rows` of a frame of `size` (width, height) px at `t` s, in this bin of the day; learns."""
        known = self.known(size)
        fits, walk = self.walks.rows(tracks.track_id[rows], t)
        rows = rows[fits]
        xyxy = tracks.xyxy[rows].astype(np.float64)
        width, height = xyxy[:, 2] - xyxy[:, 0], xyxy[:, 3] - xyxy[:, 1]
        centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2 / size[0]
        velocity, stay = self.walks.move(walk, centre, np.maximum(width, height) / size[0], t)
        seen = known.see(xyxy / np.tile(size, 2), tracks.class_id[rows], velocity, stay, hour)
        surprise = known.surprise(seen)
        surprise[_holds_others(xyxy, tracks.class_id[rows])] = 0.0
        evidence, passed = self.walks.gather(walk, surprise, t)
        rarity = self.tails.rarity(evidence)
        strange = self.walks.hold(walk, rarity.max(axis=1), passed)
        self._learn(known, seen, walk, strange, t)
        return Judged(rows, seen, strange, rarity.argmax(axis=1))

    def known(self, size: tuple[int, int]) -> Traits:
        """The habits of a picture of this shape; begun anew where it had another."""
        if self.traits is None or self.traits.grid != grid_of(size):
            self.traits = Traits(grid_of(size))
        return self.traits

    def end(self, track_ids: Sequence[int]) -> None:
        """These tracks are no more: how strange they got is learned."""
        for peak, evidence in self.walks.end(track_ids):
            self._strange += peak > self.limit
            if peak <= self.limit or self._strange % _SLOWER == 0:
                self.tails.add(evidence)

    def refresh(self, days: float) -> None:
        """From now on what was learned, in so many watched days, counts.

        Strangeness is in powers of ten of tracks, so the limit is that of so many of the tracks of a day, shared out
        among the traits (Bonferroni).
        """
        if self.traits:
            self.traits.refresh()
        self.tails.fit()
        if self.tails.count >= LEAST:
            a_day = self.tails.count / max(days, 1e-3)
            self.limit = max(float(np.log10(a_day * len(NAMES) / self._a_day)), _LEAST)

    def _learn(self, known: Traits, seen: Seen, walk: Array, strange: Array, t: float) -> None:
        weight = np.where(strange > self.limit, _SLOWLY, 1.0)
        stay = seen.values[:, STAY]
        further = np.flatnonzero(seen.bins[:, STAY] > self.walks.told[walk])
        if len(further):
            known.reach(seen, further, self.walks.told[walk[further]], weight[further])
            self.walks.told[walk[further]] = seen.bins[further, STAY]
        due = np.flatnonzero((t >= self.walks.due[walk]) & (seen.bins[:, SPEED] >= 0))
        if len(due):
            known.learn(seen, due, weight[due])
            first = due[~self.walks.greeted[walk[due]]]
            known.habits[HOUR].learn(0, 0, seen.bins[first, HOUR], weight[first])
            self.walks.greeted[walk[due]] = True
            self.walks.due[walk[due]] = t + np.maximum(_EACH_S, _GROWN * stay[due])


def _holds_others(xyxy: Array, class_id: Array) -> Array:
    """(K,) bool: boxes (K, 4) that hold the centres of some smaller ones of their label."""
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    holds = ((centre[None] > xyxy[:, None, :2]) & (centre[None] < xyxy[:, None, 2:])).all(axis=2)
    area = boxes.area(xyxy)
    holds &= (area[None] < 0.5 * area[:, None]) & (class_id[None] == class_id[:, None])
    return np.asarray(holds.sum(axis=1) >= _GROUP)
