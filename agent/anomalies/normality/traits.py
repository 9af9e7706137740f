"""The attributes of a track that are learned, and into which bin a value falls.

trait      bins                                        extreme is
place      one a cell of the grid, for all cells       rare
speed      octaves / 3 from 0.004 frame widths/s       high
direction  8 points of the compass; unknown of who stands  rare
size       octaves / 3 of the box's scale              both: at either end
label      one a label, the last for all further ones  rare
stay       octaves from 1 s to 9 h                     least: how many got so far
hour       24, working days and others apart           rare
gait       speed again, one a label for the whole picture  high

Speed is in frame widths a second and size in frame widths: what is near is large and quick, which each place learns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.anomalies.normality.habits import Habit
from agent.data import Array

NAMES = ("place", "speed", "direction", "size", "label", "stay", "hour", "gait")
PLACE, SPEED, DIRECTION, SIZE, LABEL, STAY, HOUR, GAIT = range(len(NAMES))
ONCE = (STAY, HOUR)  # learned once a stay or a track
MOVING = (SPEED, DIRECTION, SIZE, LABEL, GAIT, PLACE)  # what makes a moment unlike others, the most telling first
LABELS = 24  # labels that have a bin of their own, by the order in which they were first seen
_ROWS = 12  # of the grid of places
_LEAST_SPEED = 0.004  # frame widths/s; slower is standing
_LEAST = {SPEED: _LEAST_SPEED, GAIT: _LEAST_SPEED, SIZE: 0.005}  # the upper edge of bin 0
_THIRD = 3  # bins an octave
BINS = {"speed": 26, "direction": 8, "size": 24, "label": LABELS + 1, "stay": 16, "hour": 24, "gait": 26}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """K tracks at one frame: where, and into which bins they fall; -1 = not known yet."""

    row: Array  # (K,) int, of the grid
    column: Array  # (K,) int
    bins: Array  # (K, traits) int
    values: Array  # (K, traits) float64: what fell into them: widths/s, widths, s; else 0
    day: int = 0  # 0 = a working day, 1 = another

    def place(self, trait: int) -> tuple[Array, Array]:
        """Row and column, each (K,), in the habit of a trait."""
        nowhere = np.zeros(len(self.row), np.intp)
        if trait in (PLACE, HOUR):
            return nowhere + self.day * (trait == HOUR), nowhere
        return (self.bins[:, LABEL], nowhere) if trait == GAIT else (self.row, self.column)


class Traits:
    """A habit for each trait, over the grid of one camera."""

    def __init__(self, grid: tuple[int, int]) -> None:
        """`grid`: rows, columns."""
        self.grid = grid
        one = (1, 1)
        self.habits = (
            Habit(one, self.grid[0] * self.grid[1], "rare", over="picture"),
            Habit(self.grid, BINS["speed"], "high", blur=0.5),
            Habit(self.grid, BINS["direction"], "rare"),
            Habit(self.grid, BINS["size"], "both", blur=0.5),
            Habit(self.grid, BINS["label"], "rare"),
            Habit(self.grid, BINS["stay"], "least"),
            Habit((2, 1), BINS["hour"], "rare", over="label", blur=0.5),  # a first Saturday is like other days
            Habit((LABELS + 1, 1), BINS["gait"], "high", over="label", blur=0.5),
        )
        self.labels: list[int] = []  # class ids that have a bin

    def see(self, xyxy: Array, class_id: Array, velocity: Array, stay: Array, hour: int) -> Seen:
        """Boxes (K, 4) in frame widths and heights (0..1 both), velocity (K, 2) widths/s, stay (K,) s; hour 0..23, of
        days that are none for work 24..47."""
        rows, columns = self.grid
        x1, y1, x2, y2 = xyxy.T
        row = np.clip(y2 * rows, 0, rows - 1).astype(np.intp)
        column = np.clip((x1 + x2) / 2 * columns, 0, columns - 1).astype(np.intp)
        scale = np.sqrt(np.maximum(x2 - x1, 1e-6) * np.maximum(y2 - y1, 1e-6) * (rows / columns))  # in widths, nearly
        known = np.isfinite(velocity[:, 0])
        x, y = np.where(known, velocity.T, 0.0)
        speed = np.hypot(x, y)
        point = np.where(speed > 4 * _LEAST_SPEED, np.round(np.arctan2(y, x) / (np.pi / 4)) % 8, -1)
        bins = np.empty((len(xyxy), len(NAMES)), np.intp)
        bins[:, PLACE] = row * columns + column
        bins[:, SPEED] = np.where(known, octaves(speed, SPEED), -1)
        bins[:, GAIT] = bins[:, SPEED]
        bins[:, DIRECTION] = point
        bins[:, SIZE] = octaves(scale, SIZE)
        bins[:, LABEL] = [self._slot(n) for n in class_id.tolist()]
        bins[:, STAY] = np.clip(np.floor(np.log2(np.maximum(stay, 0.5))) + 1, 0, BINS["stay"] - 1)
        bins[:, HOUR] = hour % 24
        values = np.zeros(bins.shape)
        values[:, SPEED], values[:, SIZE], values[:, STAY], values[:, GAIT] = speed, scale, stay, speed
        return Seen(row, column, bins, values, hour // 24)

    def surprise(self, seen: Seen, trait: int) -> Array:
        """(K,): -log10 of a trait's tail; 0 for what is not known yet."""
        row, column = seen.place(trait)
        value = seen.bins[:, trait]
        return np.asarray(np.where(value >= 0, self.habits[trait].surprise[row, column, value], 0.0))

    def learn(self, seen: Seen, which: Array, weight: Array) -> None:
        """Tracks `which` (J,) of those seen are normal with `weight` (J,). Stays are learned by `reach`."""
        for trait, habit in enumerate(self.habits):
            value = seen.bins[which, trait]
            good = np.flatnonzero(value >= 0)
            if trait not in ONCE and len(good):
                row, column = (of[which[good]] for of in seen.place(trait))
                habit.learn(row, column, value[good], weight[good])

    def reach(self, seen: Seen, which: Array, told: Array, weight: Array) -> None:
        """Tracks `which` (J,) have stayed into their bin for the first time; `told` (J,) is the last bin that was."""
        counts = self.habits[STAY].counts
        for k, before, w in zip(which.tolist(), told.tolist(), weight.tolist(), strict=True):
            counts[seen.row[k], seen.column[k], before + 1 : seen.bins[k, STAY] + 1] += w

    def refresh(self) -> None:
        """From now on what was learned until now counts."""
        for habit in self.habits:
            habit.refresh()

    def fade(self, factor: float) -> None:
        """What was learned counts for so much less."""
        for habit in self.habits:
            habit.counts *= np.float32(factor)

    def _slot(self, class_id: int) -> int:
        if class_id not in self.labels:
            if len(self.labels) >= LABELS:
                return LABELS
            self.labels.append(class_id)
        return self.labels.index(class_id)


def grid_of(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns for pictures of this (width, height) px; cells are nearly square."""
    return _ROWS, int(np.clip(round(_ROWS * size[0] / size[1]), 3, 40))


def lower_edge(trait: int, bin_: int) -> float:
    """The least value that falls into a bin of a trait with octaves."""
    if bin_ <= 0:
        return 0.0
    if trait == STAY:
        return float(2.0 ** (bin_ - 1))
    return float(_LEAST[trait] * 2 ** ((bin_ - 1) / _THIRD))


def octaves(values: Array, trait: int) -> Array:
    """Values -> bins: 0 below the least value, then three an octave."""
    bins = np.floor(_THIRD * np.log2(np.maximum(values, 1e-9) / _LEAST[trait])) + 1
    return np.asarray(np.clip(bins, 0, BINS[NAMES[trait]] - 1), np.intp)
