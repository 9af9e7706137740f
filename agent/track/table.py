"""The one table of tracks: a row is an object, a dead track is a free row, and nothing grows.

A row holds the state of its filter as of the last detection, `seen`. What a frame without a detection changes is the
clock alone: the prediction is made anew from `seen` in every frame, so a gap leaves nothing behind to undo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent import boxes
from agent.data import Array, Detections
from agent.track import kalman, kinds

FREE, TENTATIVE, CONFIRMED = 0, 1, 2
SCORES = 8  # confidences remembered of a track, for their median
_PADDED = 3  # a history is taken for at least this long: one detection is no object, however sure
_STRIDE = 0.25  # of the box's scale: a shorter way is jitter, not travel

ROW = np.dtype(
    [
        ("state", np.int8),  # FREE, TENTATIVE, CONFIRMED
        ("track_id", np.int64),  # 0 until confirmed
        ("mean", np.float64, 8),  # px, px/s: the filter's, as of `seen`
        ("spread", np.float64, (3, 4)),
        ("seen_cxcywh", np.float64, 4),  # px, the last detection itself
        ("seen", np.float64),  # s on the tracker's clock
        ("born", np.float64),  # s on the tracker's clock
        ("missed", np.float64),  # s that passed in frames which looked for it in vain
        ("doubt", np.float64),  # s, the same, but a weak detection, which says where and hardly that, does not end it
        ("misses", np.int32),  # frames since `seen`
        ("row", np.int32),  # in this frame's Detections, -1 if none
        ("confidence", np.float64),  # of the last detection
        ("scores", np.float64, SCORES),  # newest first; 0 = looked for in vain while tentative
        ("looks", np.int32),  # entries in `scores`, ever
        ("candidates", np.int32, kinds.SLOTS),  # class ids that have `votes`
        ("votes", np.float64, kinds.SLOTS),
        ("hits", np.int32),  # detections in all, and the sum of their confidences
        ("total_confidence", np.float64),
        ("first_xyxy", np.float64, 4),  # px
        ("stood", np.float64, 2),  # px, where the last stride ended
        ("travelled", np.float64),  # px, sum of strides
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A frame's usable detections in an order of their own: whoever sorts them differently gets the same tracks."""

    xyxy: Array  # (N, 4) float64 px
    cxcywh: Array  # (N, 4) float64 px
    confidence: Array  # (N,) float64
    class_id: Array  # (N,) int32
    row: Array  # (N,) int, in the frame's Detections

    @classmethod
    def of(cls, detections: Detections) -> Found:
        """By falling confidence, then class, then place. Boxes that are not finite or have no area are left out."""
        xyxy = detections.xyxy
        if len(xyxy) == 0:
            return NOTHING
        usable = np.flatnonzero(np.isfinite(xyxy).all(axis=1) & (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1))
        keys = (*xyxy[usable].T, detections.class_id[usable], -detections.confidence[usable])
        row = usable[np.lexsort(keys)]
        ordered = xyxy[row].astype(np.float64)
        confidence = detections.confidence[row].astype(np.float64)
        return cls(ordered, boxes.xyxy_to_cxcywh(ordered), confidence, detections.class_id[row], row)

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, rows: Array) -> Found:
        """The rows picked by an index array."""
        return Found(self.xyxy[rows], self.cxcywh[rows], self.confidence[rows], self.class_id[rows], self.row[rows])


NOTHING = Found(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int32), np.zeros(0, np.intp))


def begin(table: Array, rows: Array, found: Found, now: float) -> None:
    """Free `rows` (K,) become tentative tracks of the detections `found` (K)."""
    new = np.zeros(len(rows), ROW)
    new["state"], new["born"] = TENTATIVE, now
    new["first_xyxy"], new["stood"] = found.xyxy, found.cxcywh[:, :2]
    _see(new, found, now, kalman.start(found.cxcywh))
    table[rows] = new


def follow(table: Array, rows: Array, found: Found, now: float, expected: tuple[Array, Array], *, doubt: Array) -> None:
    """Tracks in `rows` (K,), expected in these states (mean, spread), were seen again as `found` (K).

    `doubt` (K,) s is what these detections add to the doubt that the object is still there; -inf ends it. After frames
    without a detection the way in between is walked again (kalman.bridge).
    """
    old = table[rows]
    mean, spread = kalman.correct(*expected, found.cxcywh)
    gap = now - old["seen"]
    lost = np.flatnonzero((old["misses"] > 0) & (gap > 0))
    if len(lost):
        before = old["mean"][lost], old["spread"][lost]
        mean[lost], spread[lost] = kalman.bridge(before, old["seen_cxcywh"][lost], found.cxcywh[lost], gap[lost])
    way = np.hypot(*(mean[:, :2] - old["stood"]).T)
    stride = way >= _STRIDE * kalman.scale(mean)[:, 0]
    old["travelled"] += np.where(stride, way, 0)
    old["stood"] = np.where(stride[:, None], mean[:, :2], old["stood"])
    old["doubt"] = np.maximum(old["doubt"] + doubt, 0)
    _see(old, found, now, (mean, spread))
    table[rows] = old


def miss(table: Array, rows: Array, dt: float, looked: Array) -> None:
    """Tracks in `rows` (K,) have no detection in this frame; `looked` (K,) bool: where they should be was looked at."""
    if len(rows) == 0:
        return
    table["row"][rows] = -1
    table["misses"][rows] += 1
    for clock in ("missed", "doubt"):
        table[clock][rows] += np.where(looked, dt, 0)
    vain = rows[looked & (table["state"][rows] == TENTATIVE)]
    if len(vain):
        tentative = table[vain]
        _remember(tentative, np.zeros(len(vain)))
        table[vain] = tentative


def median_score(table: Array, rows: Array) -> Array:
    """The median of the remembered confidences, padded with zeros to three: (K,) -> (K,).

    Frames that looked in vain count as 0, so a tentative track needs a good score in more than half of its frames.
    """
    n = np.clip(table["looks"][rows], _PADDED, SCORES)
    ranked = -np.sort(-table["scores"][rows], axis=1)
    return np.asarray(ranked[np.arange(len(rows)), n // 2])


def class_of(table: Array, rows: Array | slice) -> Array:
    """The class each track's detections voted for: (K,) -> (K,) int32."""
    return kinds.winner(table["candidates"][rows], table["votes"][rows])


def _see(tracks: Array, found: Found, now: float, state: tuple[Array, Array]) -> None:
    """`tracks` (K,) are a copy of rows of the table: written whole, once, they cost half of what their columns do."""
    tracks["mean"], tracks["spread"] = state
    tracks["seen"], tracks["seen_cxcywh"] = now, found.cxcywh
    tracks["missed"], tracks["misses"] = 0, 0
    tracks["row"], tracks["confidence"] = found.row, found.confidence
    tracks["hits"] += 1
    tracks["total_confidence"] += found.confidence
    _remember(tracks, found.confidence)
    before = tracks["candidates"], tracks["votes"]
    tracks["candidates"], tracks["votes"] = kinds.vote(*before, found.class_id, found.confidence)


def _remember(tracks: Array, score: Array) -> None:
    scores = tracks["scores"]
    scores[:, 1:] = scores[:, :-1]  # numpy minds the overlap
    scores[:, 0] = score
    tracks["looks"] += 1
