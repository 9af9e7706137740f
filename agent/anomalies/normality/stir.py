"""How fast things move at each place of the picture, whether or not anybody knows what they are.

Speeds of the cells are surprising by the habits of their place. What moves takes its surprise along: a cell inherits
the most that its neighbours had a moment ago, so evidence gathers along a way without any track ("track before
detect", Barniv, IEEE TAES 1985). Surprise beyond chance adds up and fades, as it does for tracks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from agent.anomalies.normality.flow import Flow
from agent.anomalies.normality.habits import Habit
from agent.anomalies.normality.spells import Spells
from agent.anomalies.normality.tails import Tail
from agent.anomalies.normality.traits import BINS, SPEED, lower_edge, octaves
from agent.anomalies.parts.glance import Glance
from agent.data import Array, Frame

_EVIDENCE = Tail(1.0, 0.3, 0.0, 0.1)  # powers of ten · s, of a spell, before there are spells
_FIRST = 3.0  # the limit before there is anything to go by: powers of ten
_CHANCE = 0.5  # powers of ten that are no evidence: in the mean a cell of which nothing is unusual says 0.43
_FADES_S = 1.0
_AROUND = np.ones((3, 3), np.uint8)
_LEAST = lower_edge(SPEED, 4)  # frame widths/s; slower is what the flow makes of noise
_LEARNED = 0.1  # one object is in about so many cells and looks at a time: together they are one observation
_SLOWLY = 0.1  # and what is beyond the limit counts so much of that


@dataclass(frozen=True, slots=True)
class Spot:
    """Where it is strangest."""

    xyxy: tuple[float, float, float, float]  # 0..1 of the picture
    speed: float  # frame widths/s
    usual: tuple[float, float]


class Stir:
    """The movement at one camera."""

    def __init__(self, a_day: float, polygons: Sequence[Sequence[tuple[float, float]]] = ()) -> None:
        """`a_day`: so many alarms; `polygons` 0..1 of the picture: only there; none: everywhere."""
        self.spells = Spells(a_day, _EVIDENCE, _FIRST)
        self.habit = _habit((1, 1))  # until the shape of the picture is known
        self._polygons = polygons
        self._flow: Flow | None = None
        self._there = np.zeros((1, 1), np.bool_)  # (rows, columns): cells that count
        self._evidence = np.zeros((1, 1), np.float32)
        self._speed = np.zeros((1, 1), np.float32)  # of the last look, widths/s
        self._looked, self._strange = -math.inf, 0.0

    def look(self, frame: Frame, glance: Glance) -> float:
        """A frame, and its camera's small pictures -> strangeness in powers of ten; learns."""
        t = frame.t
        if self._flow is None or self._flow.size != frame.size:
            self._flow = self._begin(frame.size)
        speed, passed = self._flow.look(frame, glance), t - self._looked
        if speed is not None:
            self._gather(speed, min(max(passed, 0.0), 1.0))
            self._looked = t
            self._strange = float(self.spells.judge(self._evidence.max(keepdims=True)[0], t)[0])
        elif not 0 <= passed < 2 * _FADES_S:
            self._strange = 0.0
        return self._strange

    def spot(self) -> Spot:
        """Where the evidence is strongest, and how fast it is there."""
        rows, columns = self._evidence.shape
        row, column = divmod(int(self._evidence.argmax()), columns)
        near = self._speed[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        low, high = self.habit.usual(row, column)
        box = ((column - 1) / columns, (row - 1) / rows, (column + 2) / columns, (row + 2) / rows)
        x1, y1, x2, y2 = (min(max(v, 0.0), 1.0) for v in box)
        return Spot((x1, y1, x2, y2), float(near.max()), (lower_edge(SPEED, low), lower_edge(SPEED, high + 1)))

    def refresh(self, days: float) -> None:
        """From now on what was learned, in so many watched days, counts."""
        self.habit.refresh()
        self.spells.refresh(days)

    def remember(self, counts: Array) -> None:
        """What was learned once, (rows, columns, bins); of no use for a picture of another shape."""
        self.habit = _habit(counts.shape[:2])
        self.habit.counts[...] = counts

    def _begin(self, size: tuple[int, int]) -> Flow:
        flow = Flow(size)
        rows, columns = flow.grid
        there = np.zeros(flow.grid, np.uint8)
        for polygon in self._polygons:
            cv2.fillPoly(there, [np.round(np.array(polygon) * (columns, rows) - 0.5).astype(np.int32)], 1)
        self._there = there > 0 if self._polygons else there == 0
        self._evidence = self._speed = np.zeros(flow.grid, np.float32)
        if self.habit.counts.shape[:2] != flow.grid:
            self.habit = _habit(flow.grid)
        return flow

    def _gather(self, speed: Array, passed: float) -> None:
        self._speed = speed
        row, column = np.nonzero((speed >= _LEAST) & self._there)
        moving = octaves(speed[row, column], SPEED)
        surprise = np.zeros(speed.shape, np.float32)
        surprise[row, column] = self.habit.surprise[row, column, moving]
        before = cv2.dilate(self._evidence, _AROUND) * np.float32(math.exp(-passed / _FADES_S))
        self._evidence = np.maximum(before + np.float32(passed) * (cv2.blur(surprise, (3, 3)) - _CHANCE), 0)
        weight = _LEARNED * (_SLOWLY if self._strange > self.spells.limit else 1.0)
        self.habit.learn(row, column, moving, np.full(len(row), weight, np.float32))


def _habit(grid: tuple[int, int]) -> Habit:
    return Habit(grid, BINS["speed"], "high", blur=0.5)
