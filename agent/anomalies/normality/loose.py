"""What is too quick for the tracker: detections that no track took, followed by nothing but the way they jump.

    frame 1   ▯                    no two boxes overlap, so that no track can begin; but a box of this label and size
    frame 2             ▯          is gone from where it was and another is there, and the next jump is like the last:
    frame 3                       ▯   something goes there, at this speed

A box at the border of the picture is cut there: its other edges say how far it went, and its other side how large it
is. What is quick is seen so few times that none can be spared.

Only where frames are far apart: at more than a few a second the tracker follows whatever there is, and what it leaves
is not there. So it is the time between frames that says, however rarely anybody looks here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.data import Array, Detections, Tracks

_APART_S = 0.15  # frames nearer than that leave nothing loose
_WAIT_S = 1.2  # for the next detection
_SURE = 0.25  # confidence of what is followed
_REACH = 1.0  # frame widths/s
_ALIKE = 1.6  # sizes differ by no more than this factor
_SAME = 0.5  # of a jump that the next may be off
_CUT = 0.01  # of the picture: an edge of a box so near to the border may be none of the object
_MOST = 32


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    """Where one was seen last."""

    number: int
    t: float  # s
    xyxy: Array  # (4,) px
    velocity: Array | None  # (2,) px/s; None: seen once
    class_id: int


class Loose:
    """One camera's quick things; their ids are negative and are never used again."""

    def __init__(self) -> None:
        self._heads: list[_Head] = []
        self._given = 0

    def follow(
        self, found: Detections, tracks: Tracks, size: tuple[int, int], t: float, passed: float
    ) -> tuple[Tracks, list[int]]:
        """Detections of a frame of `size` (width, height) px at `t` s, `passed` s after the frame before, and what was
        tracked -> what jumps, and which ids are over."""
        if passed < _APART_S and not self._heads:
            return Tracks.empty(), []
        known = {head.number for head in self._heads}
        waiting = [head for head in self._heads if 0 < t - head.t <= _WAIT_S]
        free = found.confidence >= _SURE
        free[tracks.row[(tracks.row >= 0) & (tracks.row < len(found))]] = False
        seen = self._linked(found[free], waiting, size, t) if passed >= _APART_S else []
        self._heads = [*seen, *waiting][:_MOST]
        over = known - {head.number for head in self._heads}
        return _tracks([head for head in seen if head.velocity is not None]), list(over)

    def _linked(self, found: Detections, waiting: list[_Head], size: tuple[int, int], t: float) -> list[_Head]:
        """The heads of this frame; what was `waiting` and is seen again is taken from there."""
        heads = list[_Head]()
        for box, class_id in zip(found.xyxy[:_MOST], found.class_id.tolist(), strict=False):
            cost = [_cost(head, box, class_id, size, t) for head in waiting]
            if min(cost, default=np.inf) < np.inf:
                before = waiting.pop(int(np.argmin(cost)))
                way, _ = _compared(before.xyxy, box, size)
                heads.append(_Head(before.number, t, box, way / (t - before.t), class_id))
            else:
                self._given -= 1
                heads.append(_Head(self._given, t, box, None, class_id))
        return heads


def _cost(head: _Head, xyxy: Array, class_id: int, size: tuple[int, int], t: float) -> float:
    """px between a box and where a head may be by now; inf: it is another."""
    (way, ratio), passed = _compared(head.xyxy, xyxy, size), t - head.t
    length = float(np.hypot(*way))
    if class_id != head.class_id or not 1 / _ALIKE <= ratio <= _ALIKE or length > _REACH * size[0] * passed:
        return float(np.inf)
    if head.velocity is None:
        return length
    off = float(np.hypot(*(way - head.velocity * passed)))
    return off if off <= _SAME * float(np.hypot(*head.velocity)) * passed else float(np.inf)


def _compared(before: Array, now: Array, size: tuple[int, int]) -> tuple[Array, float]:
    """Boxes (4,) px of one thing in frames of `size` -> (2,) px that it went, and how many times as large it is."""
    both = np.stack([before, now]).reshape(2, 2, 2)  # frame, edge, axis
    border = _CUT * np.array(size)
    whole = ((both > border) & (both < size - border)).all(axis=0)  # (edge, axis): that of the object, both times
    told = whole | ~whole.any(axis=0)
    way = ((both[1] - both[0]) * told).sum(axis=0) / told.sum(axis=0)
    side = np.maximum(both[:, 1] - both[:, 0], 1e-6)
    larger = (side[1] / side[0])[whole.all(axis=0)]
    return way, float(larger.prod() ** (1 / max(len(larger), 1)))


def _tracks(heads: list[_Head]) -> Tracks:
    n = len(heads)
    return Tracks(
        track_id=np.array([head.number for head in heads], np.int64),
        xyxy=np.array([head.xyxy for head in heads], np.float32).reshape(n, 4),
        velocity=np.array([head.velocity for head in heads], np.float32).reshape(n, 2),
        confidence=np.zeros(n, np.float32),
        class_id=np.array([head.class_id for head in heads], np.int32),
        age=np.zeros(n, np.float32),
        missed=np.zeros(n, np.float32),
        row=np.full(n, -1, np.int32),
    )
