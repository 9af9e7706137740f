"""Each track against the habits of its place: how strange it has been of late, and what is learned from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from agent import boxes
from agent.anomalies.normality import likeness
from agent.anomalies.normality.likeness import Likeness
from agent.anomalies.normality.spells import SPELL_S, Spells
from agent.anomalies.normality.tails import LEAST, Tail, Tails
from agent.anomalies.normality.traits import HOUR, LABEL, MOVING, NAMES, SIZE, SPEED, STAY, Seen, Traits, grid_of
from agent.anomalies.normality.walks import Walks
from agent.data import Array, Tracks

# of a track: how far from what is known it walks, or jumps; the surprise of its stay; how strange it was in all
LIKE, JUMPS, STAYS, ALL = range(4)
_FIRST = 3.0  # the limit before there is anything to go by: powers of ten
_BEFORE = Tail(0.8, 0.3, 0.0, 0.1)  # of the distance of a track, before there are tracks,
_STAYS_BEFORE = Tail(2.0, 0.5, 0.0, 0.1)  # of its stays,
_ALL_BEFORE = (_BEFORE, _BEFORE, _STAYS_BEFORE)
_SPELLS_BEFORE = Tail(1.0, 0.43, 0.0, 0.1)  # and of the strangest in a spell: chance alone
_SCALES = (0.1, 0.1, 0.43)  # none is smaller: the surprise of a stay is in powers of ten already
_INSTEAD = (LIKE, LIKE, STAYS)  # while few jump they are measured by how others walk
_SLOWER = 10  # of what is beyond the limit one in so many is learned
_KEPT, _OWN = 512, 80  # tracks of each label; with so many a label is measured by its own,
_OWN_DAYS = 1.0  # and after so long: what an hour shows of a label is not all there is of it
_STAYS_S = 4.0  # who is there for less walks by, be it slowly
_ENOUGH = 100  # moments; who knows fewer does not judge by them
_SETTLED_S = 0.95  # so old, the tracker's own velocity is within a tenth, in the median; younger ones say too little
_STANDS = 0.3  # of its size a second: slower is standing
_GROUP = 3  # boxes of its own label within a box: a group, no object
_TOLD = np.array([SPEED, SPEED, STAY, HOUR])  # the trait that says it: walking, jumping, staying, the hour
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
        self.walks, self.like = Walks(likeness.WIDE), Likeness()
        self._strange, self._days = 0, 0.0
        self.tails = Tails(*_ALL_BEFORE, least=_SCALES, instead=_INSTEAD)
        self.own = [  # each label's
            Tails(*_ALL_BEFORE, least=_SCALES, kept=_KEPT, instead=_INSTEAD) for _ in range(likeness.KINDS)
        ]
        self.spells = Spells(a_day, _SPELLS_BEFORE, _FIRST)
        self.traits: Traits | None = None  # until the shape of the picture is known

    def look(self, tracks: Tracks, size: tuple[int, int], t: float, hour: int) -> Judged:
        """Tracks of a frame of `size` (width, height) px at `t` s, in this bin of the day; learns."""
        known = self.known(size)
        if not len(tracks):
            return _nobody()
        rows, walk = self.walks.rows(tracks.track_id, t)
        xyxy = tracks.xyxy[rows].astype(np.float64)
        width, height = xyxy[:, 2] - xyxy[:, 0], xyxy[:, 3] - xyxy[:, 1]
        centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2 / size[0]
        velocity, stay = self.walks.move(walk, centre, np.maximum(width, height) / size[0], t)
        jumps, unknown = tracks.track_id[rows] < 0, np.isnan(velocity[:, 0])
        begins = jumps & unknown
        said = jumps | (unknown & (tracks.age[rows] >= _SETTLED_S))
        velocity[said] = tracks.velocity[rows[said]] / size[0]
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
        stays = known.surprise(seen, STAY) * (stay >= _STAYS_S)
        hours = known.surprise(seen, HOUR) * (self.tails.count >= LEAST)
        self.walks.kind[walk] = np.minimum(seen.bins[:, LABEL], likeness.KINDS - 1)
        twice = jumps & ~begins  # one jump is no way yet: it may have been from one thing to another
        evidence = np.column_stack([mean * ~jumps, mean * twice, stays])
        rarity = np.column_stack([self._rarity(evidence, self.walks.kind[walk]), hours])
        strange = self.walks.hold(walk, evidence, self.spells.judge(rarity.max(axis=1), t), passed)
        self._learn(known, seen, walk, t)
        limit = self.spells.limit if self.tails.count >= LEAST else np.inf
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
        for most, moments, kind in self.walks.end(track_ids):
            is_strange = most[ALL] > self.spells.limit and self.tails.count >= LEAST
            self._strange += is_strange
            if not is_strange or self._strange % _SLOWER == 0:
                rarest = self.spells.at_limit() if is_strange else math.inf
                self.tails.add(most[:ALL], rarest)
                self.own[kind].add(most[:ALL], rarest)
                self.like.learn(moments, self._days)

    def refresh(self, days: float) -> None:
        """From now on what was learned, in so many watched days, counts."""
        self._days = days
        if self.traits:
            self.traits.refresh()
        for tails in (self.tails, *self.own):
            tails.fit()
        if self.spells.tails.count < 2 * LEAST:
            many = ALL * self.tails.count * SPELL_S / max(days * 86400.0, 1.0)  # chances to be strange, in a spell
            self.spells.tails.suppose([replace(_SPELLS_BEFORE, threshold=1 + math.log10(max(many, 1.0)))])
        self.spells.refresh(days)

    def _rarity(self, evidence: Array, kind: Array) -> Array:
        """(K, columns), among tracks of the same label (K,) where enough of them are known."""
        rarity = self.tails.rarity(evidence)
        for one in set(kind.tolist()):
            if self.own[one].count >= _OWN and self._days >= _OWN_DAYS:
                rarity[kind == one] = self.own[one].rarity(evidence[kind == one])
        return rarity

    def _traits(self, known: Traits, seen: Seen, which: Array, strange: Array) -> Array:
        """(K,): the trait that says most about each track that is beyond the limit."""
        answer = _TOLD[which]  # a copy
        for k in np.flatnonzero((strange > self.spells.limit) & (which <= JUMPS)).tolist():
            answer[k] = max(MOVING, key=lambda trait: known.surprise(seen, trait)[k])
        return answer

    def _learn(self, known: Traits, seen: Seen, walk: Array, t: float) -> None:
        weight = np.where(self.walks.held[walk] > self.spells.limit, 1 / _SLOWER, 1.0)
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
        known.habits[HOUR].learn(seen.day, 0, seen.bins[first, HOUR], weight[first])
        self.walks.greeted[walk[due]] = True
        self.walks.due[walk[due]] = t + np.maximum(_EACH_S, _GROWN * stay[due])


def _nobody() -> Judged:
    none, wide = np.empty(0, np.intp), np.empty((0, len(NAMES)))
    return Judged(none, Seen(none, none, wide.astype(np.intp), wide), np.empty(0), none)


def _holds_others(xyxy: Array, class_id: Array) -> Array:
    """(K,) bool: boxes (K, 4) that hold the centres of some smaller ones of their label."""
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    holds = ((centre[None] > xyxy[:, None, :2]) & (centre[None] < xyxy[:, None, 2:])).all(axis=2)
    area = boxes.area(xyxy)
    holds &= (area[None] < 0.5 * area[:, None]) & (class_id[None] == class_id[:, None])
    return np.asarray(holds.sum(axis=1) >= _GROUP)
