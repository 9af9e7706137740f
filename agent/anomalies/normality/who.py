"""Each track against the habits of its place: how strange it has been of late, and what is learned from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from agent import boxes
from agent.anomalies.normality import likeness
from agent.anomalies.normality.likeness import Likeness
from agent.anomalies.normality.tails import LEAST, Tail, Tails
from agent.anomalies.normality.traits import HOUR, LABEL, MOVING, NAMES, SIZE, SPEED, STAY, Seen, Traits, grid_of
from agent.anomalies.normality.walks import Walks
from agent.data import Array, Tracks

LIKE, STAYS, ALL = range(3)  # columns of what is calibrated: distance, surprise of a stay, the strangest of all
_FIRST = 3.0  # the limit before there is anything to go by: powers of ten
_LEAST = 1.5  # no limit is lower
_BEFORE = Tail(0.8, 0.3, 0.0, 0.1)  # of a track, before there are tracks
_STAYS_BEFORE = Tail(2.0, 0.5, 0.0, 0.1)  # and of its stays
_SLOWER = 10  # of what is beyond the limit one in so many is learned
_ENOUGH = 100  # moments; who knows fewer does not judge by them
_STANDS = 0.3  # of its size a second: slower is standing
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
        self.walks, self.like, self.limit = Walks(likeness.WIDE), Likeness(), _FIRST
        self._a_day, self._strange, self._days = a_day, 0, 0.0
        self.tails = Tails(_BEFORE, _STAYS_BEFORE, _BEFORE)
        self.traits: Traits | None = None  # until the shape of the picture is known

    def look(self, tracks: Tracks, size: tuple[int, int], t: float, hour: int) -> Judged:
        """Tracks of a frame of `size` (width, height) px at `t` s, in this bin of the day; learns."""
        known = self.known(size)
        rows, walk = self.walks.rows(tracks.track_id, t)
        xyxy = tracks.xyxy[rows].astype(np.float64)
        width, height = xyxy[:, 2] - xyxy[:, 0], xyxy[:, 3] - xyxy[:, 1]
        centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2 / size[0]
        velocity, stay = self.walks.move(walk, centre, np.maximum(width, height) / size[0], t)
        jumps = (tracks.track_id[rows] < 0) & np.isnan(velocity[:, 0])
        velocity[jumps] = tracks.velocity[rows[jumps]] / size[0]
        seen = known.see(xyxy / np.tile(size, 2), tracks.class_id[rows], velocity, stay, hour)
        foot = np.stack([centre[:, 0], xyxy[:, 3] / size[0]], axis=1)
        points = likeness.point(foot, seen.values[:, SIZE], velocity, seen.bins[:, LABEL])
        clear = np.isfinite(velocity[:, 0]) & ~_holds_others(xyxy, tracks.class_id[rows])
        walks = seen.values[:, SPEED] > _STANDS * seen.values[:, SIZE]
        clear &= walks | ~self.walks.moved[walk]  # who stops is strange by how long, not by that
        knows = len(self.like.seen) >= _ENOUGH
        self.walks.moved[walk] |= walks
        apart, _ = self.like.distance(points)
        mean, passed = self.walks.gather(walk, np.where(clear & knows, apart, np.nan), t)
        stays, hours = known.surprise(seen, STAY), known.surprise(seen, HOUR) * (self.tails.count >= LEAST)
        rarity = np.column_stack([self.tails.rarity(np.column_stack([mean, stays, stays]))[:, :ALL], hours])
        strange = self.walks.hold(walk, stays, rarity.max(axis=1), passed)
        self._learn(known, seen, walk, t)
        limit = self.limit if self.tails.count >= LEAST else np.inf
        self.like.learn(self.walks.note(walk[clear], points[clear], t, limit), self._days)
        return Judged(rows, seen, strange, self._traits(known, seen, rarity.argmax(axis=1), strange))

    def known(self, size: tuple[int, int]) -> Traits:
        """The habits of a picture of this shape; begun anew where it had another."""
        if self.traits is None or self.traits.grid != grid_of(size):
            self.traits = Traits(grid_of(size))
        return self.traits

    def end(self, track_ids: Iterable[int]) -> None:
        """These tracks are no more: what they were like, and how strange they got, is learned.

        Not before: a track would be like itself.
        """
        for most, moments in self.walks.end(track_ids):
            is_strange = most[ALL] > self.limit and self.tails.count >= LEAST
            self._strange += is_strange
            if not is_strange or self._strange % _SLOWER == 0:
                self.tails.add(most)
                self.like.learn(moments, self._days)

    def refresh(self, days: float) -> None:
        """From now on what was learned, in so many watched days, counts.

        The limit is what so few of the tracks of a day reach that they are the alarms it may have.
        """
        self._days = days
        if self.traits:
            self.traits.refresh()
        self.tails.fit()
        if self.tails.count >= LEAST:
            share = self._a_day * max(days, 1e-3) / self.tails.count
            self.limit = max(self.tails.reached_by(ALL, share), _LEAST)

    def _traits(self, known: Traits, seen: Seen, which: Array, strange: Array) -> Array:
        """(K,): the trait that says most about each track that is beyond the limit."""
        answer = np.where(which == LIKE, SPEED, np.where(which == STAYS, STAY, HOUR))
        for k in np.flatnonzero((strange > self.limit) & (which == LIKE)).tolist():
            answer[k] = max(MOVING, key=lambda trait: known.surprise(seen, trait)[k])
        return answer

    def _learn(self, known: Traits, seen: Seen, walk: Array, t: float) -> None:
        weight = np.where(self.walks.held[walk] > self.limit, 1 / _SLOWER, 1.0)
        stay = seen.values[:, STAY]
        further = np.flatnonzero(seen.bins[:, STAY] > self.walks.told[walk])
        if len(further):
            known.reach(seen, further, self.walks.told[walk[further]], weight[further])
            self.walks.told[walk[further]] = seen.bins[further, STAY]
        due = np.flatnonzero((t >= self.walks.due[walk]) & (seen.bins[:, SPEED] >= 0))
        if not len(due):
            return
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
