"""A street by the hour: people on a pavement, cars in two lanes, some who wait; and what does not belong there.

Everything is drawn from one seed. Time stands still for nobody, but while nothing is in sight only one frame in
EMPTY_S is made, so weeks take minutes. Detections tremble, are missed and are unsure, as a small model's are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agent.data import Array, Detections

LABELS = ("person", "bicycle", "car", "suitcase")
PERSON, BICYCLE, CAR, SUITCASE = range(4)
SIZE = (640, 360)  # px
EMPTY_S = 55.0
KINDS = ("off_hours", "wrong_way", "speed", "loitering", "crowd", "path", "abandoned")
_BUSY = np.array([0, 0, 0, 0, 0, 1, 4, 8, 10, 7, 6, 7, 9, 8, 6, 6, 8, 10, 9, 6, 4, 2, 1, 0]) / 10  # by hour


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that goes from point to point, and may wait at one."""

    label: int
    begin: float  # s
    points: Array  # (P, 2) px, where its feet are
    times: Array  # (P,) s from `begin`
    height: float  # px
    ratio: float  # width / height

    @property
    def end(self) -> float:
        """s, when it has gone."""
        return self.begin + float(self.times[-1])

    def box(self, t: float) -> tuple[float, float, float, float]:
        """xyxy px."""
        x, y = (float(np.interp(t - self.begin, self.times, self.points[:, k])) for k in (0, 1))
        width = self.height * self.ratio
        return x - width / 2, y - self.height, x + width / 2, y


@dataclass(frozen=True, slots=True)
class Plant:
    """An anomaly that was put there."""

    kind: str
    begin: float
    end: float


class World:
    """`days` of life, of which those from `planted` on hold `each` anomalies of every kind; day 0 is a Monday."""

    def __init__(self, seed: int, days: float, planted: float, *, a_day: int, each: int = 3) -> None:
        self._rng = np.random.default_rng(seed)
        self.plants: list[Plant] = []
        self._days = days
        things = [thing for day in range(int(np.ceil(days))) for thing in self._day(day, a_day)]
        things += self._planted(planted, each) if each else []
        self.things = sorted((thing for thing in things if thing.begin < days * 86400), key=lambda thing: thing.begin)

    def frames(self, fps: float) -> Iterator[tuple[float, Detections]]:
        """(t s, detections), at this rate while something is in sight and for two seconds after."""
        t, coming, here, until = 0.0, list(self.things[::-1]), list[Thing](), 0.0
        end = self._days * 86400
        while t < end:
            while coming and coming[-1].begin <= t:
                here.append(coming.pop())
                until = max(until, here[-1].end + 2.5)
            here = [thing for thing in here if thing.end > t]
            yield t, self._seen(here, t)
            if t < until:
                t += 1 / fps
            else:
                t = min(t + EMPTY_S, max(coming[-1].begin, t + 1 / fps) if coming else end)

    def _day(self, day: int, a_day: int) -> list[Thing]:
        weekend = day % 7 >= 5
        chance = (0.5 * _BUSY + 0.3 * np.roll(_BUSY, 2) if weekend else _BUSY) + 0.002
        many = self._rng.poisson(a_day * (0.6 if weekend else 1.0))
        hours = self._rng.choice(24, many, p=chance / chance.sum())
        starts = day * 86400 + hours * 3600 + self._rng.uniform(0, 3600, many)
        return [thing for t in starts.tolist() for thing in self._one(t)]

    def _one(self, t: float) -> list[Thing]:
        way = self._rng.choice(["walk", "pair", "wait", "bike", "car"], p=[0.45, 0.1, 0.08, 0.05, 0.32])
        if way == "car":
            return [self._car(t, int(self._rng.integers(2)), 1.0)]
        if way == "pair":
            return [self._walker(t, 1.0), self._walker(t + self._rng.uniform(0.5, 2), 1.0)]
        if way == "wait":
            return [self._walker(t, 1.0, wait=float(self._rng.exponential(12)))]
        return [self._walker(t, 1.0, label=BICYCLE if way == "bike" else PERSON)]

    def _walker(
        self, t: float, quick: float, *, label: int = PERSON, wait: float = 0.0, at: int | None = None
    ) -> Thing:
        y = self._rng.uniform(190, 225)
        ends = np.array([[0, y], [640, y + self._rng.uniform(-8, 8)]])[:: int(self._rng.choice([-1, 1]))]
        speed = float(np.clip(self._rng.normal(46, 8), 25, 70)) * quick * (2.6 if label == BICYCLE else 1.0)
        return self._on(label, t, ends, speed, 62 * (y / 207) * self._rng.uniform(0.9, 1.1), wait, at)

    def _car(self, t: float, lane: int, quick: float, *, wrong: bool = False) -> Thing:
        y = (280, 325)[lane] + self._rng.uniform(-5, 5)
        ends = np.array([[-20.0, y], [660.0, y]])[:: -1 if (lane == 1) != wrong else 1]
        return self._on(CAR, t, ends, float(np.clip(self._rng.normal(150, 25), 80, 230)) * quick, 60 * y / 300, 0.0)

    def _on(
        self, label: int, t: float, ends: Array, speed: float, height: float, wait: float, at: int | None = None
    ) -> Thing:
        ratio = {PERSON: 0.4, BICYCLE: 0.9, CAR: 2.1, SUITCASE: 0.8}[label]
        steps = np.linspace(0, 1, 7)[:, None]
        points = ends[0] + steps * (ends[-1] - ends[0])
        if label == PERSON:
            points[:, 1] += self._rng.normal(0, 3, 7)
        times = np.concatenate([[0.0], np.hypot(*np.diff(points, axis=0).T).cumsum() / speed])
        if wait:
            at = int(self._rng.integers(1, 6)) if at is None else at
            points, times = np.insert(points, at, points[at], axis=0), np.insert(times, at, times[at])
            times[at + 1 :] += wait
        return Thing(label, t, points, times, height, ratio * self._rng.uniform(0.9, 1.1))

    def _planted(self, first: float, each: int) -> list[Thing]:
        things = []
        kinds = [kind for kind in KINDS for _ in range(each)]
        slots = self._rng.permutation(int((self._days - first) * 24 * 2))
        day = [slot for slot in slots.tolist() if 9 <= slot / 2 % 24 < 18]
        night = [slot for slot in slots.tolist() if 1 <= slot / 2 % 24 < 4]
        for kind in kinds:
            slot = (night if kind == "off_hours" else day).pop()
            t = first * 86400 + slot * 1800 + self._rng.uniform(200, 1200)
            made = self._strange(kind, t)
            self.plants.append(Plant(kind, t, max(thing.end for thing in made)))
            things += made
        return things

    def _strange(self, kind: str, t: float) -> list[Thing]:
        rng, lane = self._rng, int(self._rng.integers(2))
        if kind == "off_hours":
            return [self._walker(t, 1.0)]
        if kind == "wrong_way":
            return [self._car(t, lane, 0.9, wrong=True)]
        if kind == "speed":
            return [self._car(t, lane, 2.5)] if lane else [self._walker(t, 3.2)]
        if kind == "loitering":
            return [self._walker(t, 1.0, wait=rng.uniform(180, 300))]
        if kind == "crowd":
            where = int(rng.integers(1, 6))
            return [self._walker(t + rng.uniform(0, 8), 1.0, wait=rng.uniform(30, 45), at=where) for _ in range(9)]
        if kind == "path":
            x = rng.uniform(80, 560)
            ends = np.array([[x, 70.0], [x + rng.uniform(-200, 200), 140.0]])
            return [self._on(PERSON, t, ends, 18.0, 40.0, 0.0)]
        walker = self._walker(t, 1.0, wait=4.0)
        left = np.repeat(walker.points[3:4] + np.array([14.0, 2.0]), 2, axis=0)
        bag = Thing(SUITCASE, t + float(walker.times[3]), left, np.array([0.0, rng.uniform(200, 300)]), 20.0, 0.9)
        return [walker, bag]

    def _seen(self, here: list[Thing], t: float) -> Detections:
        found = [thing for thing in here if self._rng.random() > 0.08]
        if self._rng.random() < 0.003:  # nothing at all, taken for something
            x, y = self._rng.uniform(30, 600), self._rng.uniform(60, 340)
            found.append(Thing(PERSON, t, np.array([[x, y]] * 2), np.array([0.0, 0.1]), 40.0, 0.5))
        if not found:
            return Detections.empty()
        xyxy = np.array([thing.box(t) for thing in found])
        scale = np.sqrt((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]))
        xyxy += self._rng.normal(0, 0.03, xyxy.shape) * scale[:, None]
        confidence = np.clip(self._rng.normal(0.65, 0.15, len(found)), 0.15, 0.98).astype(np.float32)
        order = np.argsort(-confidence)
        class_id = np.array([thing.label for thing in found], np.int32)
        xyxy = np.clip(xyxy, 0, np.tile(SIZE, 2)).astype(np.float32)
        whole = (xyxy[:, 2:] - xyxy[:, :2] > 2).all(axis=1)[order]
        return Detections(xyxy, confidence, class_id)[order][whole]
