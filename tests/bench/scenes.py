"""Streets that never were, with their truth and with what a weak detector would see of them.

Objects enter, turn, stop, cross and hide one another. The detector misses three in ten, in bursts of a quarter of a
second, jitters by 5 % of the box, takes cars for trucks, sees things that are not there, and has three spots in the
picture where it keeps seeing one. All times are seconds: a seed is the same street at every frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, sqrt
from typing import Any

import numpy as np

WIDTH, HEIGHT = 960, 540
PERSON, CAR, TRUCK = 0, 2, 7
KINDS = {"street": (26, 0.45), "crowd": (45, 0.0), "fast": (20, 0.8)}  # objects a minute, share of cars
SECONDS = {30: 20, 10: 40, 3: 100, 2: 120}  # fps -> length
_STEP = 1 / 60  # s of the simulation
_MISSED, _JITTER, _FALSE = 0.3, 0.05, 0.6  # share, of the box, a frame
_BURST, _GHOST = 0.25, 0.8  # s


@dataclass
class Clip:
    """Frames of one camera: truth and detections by frame."""

    name: str
    fps: float
    t: list[float]
    truth: list[tuple[Any, Any]]  # ids (N,), xyxy (N, 4)
    found: list[tuple[Any, Any, Any]]  # xyxy (M, 4), confidence (M,), class_id (M,)


@dataclass
class Walker:
    """One object's way: its box at every step from `start` on."""

    number: int
    class_id: int
    start: float
    boxes: Any  # (S, 4) px, not cut at the border


def clip(seed: int, fps: int, kind: str) -> Clip:
    """The same seed and kind give the same street at any frame rate."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    seconds = SECONDS[fps]
    share, cars = KINDS[kind]
    count = max(4, rng.poisson(share * seconds / 60))
    walkers = [_walker(rng, n + 1, seconds, rng.random() < cars, kind == "fast") for n in range(count)]
    eye = _Eye(np.random.default_rng([seed, 7, fps]), walkers, 1 / fps)
    made = Clip(f"{kind}-{seed}", fps, [n / fps for n in range(seconds * fps)], [], [])
    for t in made.t:
        inside = [(w, box) for w in walkers if (box := _visible(w, t)) is not None]
        made.truth.append((np.array([w.number for w, _ in inside]), np.array([b for _, b in inside]).reshape(-1, 4)))
        made.found.append(eye.look([w for w, _ in inside], made.truth[-1][1]))
    return made


def _walker(rng: Any, number: int, seconds: float, car: bool, fast: bool) -> Walker:
    depth = rng.uniform(0.35, 1.0)  # 1 = near
    if car:
        height = rng.uniform(72, 144) * depth
        size = np.array([height * rng.uniform(1.5, 2.3), height])
        speed, turning = rng.lognormal(np.log(0.72), 0.5) * size[0] * (1.5 if fast else 1.0), 0.0
    else:
        height = rng.uniform(90, 170) * depth
        size = np.array([height * rng.uniform(0.36, 0.46), height])
        speed, turning = rng.lognormal(np.log(0.6), 0.35) * height, 0.6
    start = rng.uniform(-8, seconds - 2)
    y = HEIGHT * (0.25 + 0.6 * depth) - height / 2
    from_left = rng.random() < 0.5
    place = np.array([-size[0] / 2 if from_left else WIDTH + size[0] / 2, y])
    angle = rng.normal(0, 0.3 if not car else 0.03) + (0 if from_left else np.pi)
    boxes, entered, pace, stop, turn = [], False, speed, 0.0, 0.0
    for step in range(int((seconds - start) / _STEP)):
        turn += -1.5 * turn * _STEP + rng.normal(0, 0.9) * sqrt(_STEP)
        angle += turning * turn * _STEP
        stop = rng.exponential(3.5) if stop <= 0 and rng.random() < 0.035 * _STEP else stop - _STEP
        pace += ((0.0 if stop > 0 else speed) - pace) * _STEP / 0.5
        place = place + pace * _STEP * np.array([np.cos(angle), np.sin(angle) * (1 if car else 0.5)])
        swing = 1 if car else 1 + 0.12 * np.sin(6 * step * _STEP)  # legs
        half = size * (1 + 0.6 * (place[1] - y) / HEIGHT) / 2 * np.array([swing, 1])
        boxes.append(np.concatenate([place - half, place + half]))
        outside = boxes[-1][2] < 5 or boxes[-1][0] > WIDTH - 5 or boxes[-1][3] < 5 or boxes[-1][1] > HEIGHT - 5
        entered = entered or not outside
        if outside and (entered or step > 600):
            break
    class_id = (CAR if rng.random() < 0.75 else TRUCK) if car else PERSON
    return Walker(number, class_id, start, np.array(boxes).reshape(-1, 4))


def _visible(walker: Walker, t: float) -> Any:
    """Its box (4,) cut at the border; None where a quarter or less of it is in the picture."""
    step = int((t - walker.start) / _STEP)
    if not 0 <= step < len(walker.boxes):
        return None
    whole = walker.boxes[step]
    box = np.clip(whole, 0, [WIDTH, HEIGHT] * 2)
    side, full = box[2:] - box[:2], whole[2:] - whole[:2]
    return box if side.prod() > 0.25 * full.prod() and side.min() > 4 else None


class _Eye:
    """A weak detector; what it misses and where it errs lasts for a while."""

    def __init__(self, rng: Any, walkers: list[Walker], dt: float) -> None:
        self._rng, self._keep, self._haunt = rng, exp(-dt / _BURST), exp(-dt / _GHOST)
        self._mood = {w.number: rng.normal() for w in walkers}
        self._shift = {w.number: rng.normal(size=4) for w in walkers}
        low = rng.uniform([0, 0], [WIDTH - 60, HEIGHT - 120], (3, 2))
        self._ghosts = np.hstack([low, low + rng.uniform([20, 40], [60, 120], (3, 2))])
        self._ghost_mood = rng.normal(size=3)

    def look(self, walkers: list[Walker], xyxy: Any) -> tuple[Any, Any, Any]:
        rng, answers = self._rng, []
        for walker, box in zip(walkers, xyxy, strict=True):
            answer = self._answer(walker, box, _hidden(box, xyxy))
            answers += [answer] if answer else []
        for _ in range(rng.poisson(_FALSE)):
            low = rng.uniform([0, 0], [WIDTH, HEIGHT])
            box = np.concatenate([low, low + rng.uniform([15, 30], [80, 140])])
            answers.append((box, rng.beta(3, 4) * 0.85 + 0.1, rng.choice([PERSON, CAR])))
        self._ghost_mood = _drift(rng, self._ghost_mood, self._haunt)
        for box in self._ghosts[self._ghost_mood > 1.1]:
            answers.append((box + rng.normal(0, 2, 4), rng.normal(0.5, 0.07), PERSON))
        boxes = np.array([a[0] for a in answers], np.float32).reshape(-1, 4)
        confidence = np.clip(np.array([a[1] for a in answers], np.float32), 0.05, 0.99)
        order = np.argsort(-confidence, kind="stable")
        return boxes[order], confidence[order], np.array([a[2] for a in answers], np.int32)[order]

    def _answer(self, walker: Walker, box: Any, hidden: float) -> Any:
        rng, number = self._rng, walker.number
        self._mood[number] = _drift(rng, self._mood[number], self._keep)
        self._shift[number] = _drift(rng, self._shift[number], self._keep)
        luck = (1 + erf(self._mood[number] / sqrt(2))) / 2
        limit = min(0.98, _MISSED + 0.9 * max(0.0, hidden - 0.35))
        if luck >= limit:
            confidence = 0.55 + 0.35 * (luck - limit) / (1 - limit) + rng.normal(0, 0.08)
        elif rng.random() < 0.5 and hidden < 0.75:
            confidence = min(0.48, 0.3 + rng.normal(0, 0.1))
        else:
            return None
        error = (0.7 * self._shift[number] + 0.7 * rng.normal(size=4)) * _JITTER * np.tile(box[2:] - box[:2], 2)
        swapped = walker.class_id != PERSON and rng.random() < 0.12
        return box + error, confidence, CAR + TRUCK - walker.class_id if swapped else walker.class_id


def _drift(rng: Any, value: Any, keep: float) -> Any:
    """One step of a mean-reverting walk with unit variance."""
    return keep * value + sqrt(1 - keep**2) * rng.normal(size=np.shape(value))


def _hidden(box: Any, xyxy: Any) -> float:
    """The share of a box behind nearer ones: those whose feet are lower in the picture."""
    nearer = xyxy[xyxy[:, 3] > box[3]]
    side = np.clip(np.minimum(nearer[:, 2:], box[2:]) - np.maximum(nearer[:, :2], box[:2]), 0, None)
    return min(1.0, float(side.prod(axis=1).sum() / (box[2:] - box[:2]).prod()))
