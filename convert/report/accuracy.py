"""Detections against the truth and against each other: errors of boxes and scores apart, a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent import boxes
from agent.data import Array, Detections

HIT = 0.5  # overlap from which a detection is right
_GRID = np.round(np.arange(0.05, 0.951, 0.01), 2)  # thresholds tried


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Objects that both models found: same label, overlap at least HIT, best overlap first, each once."""

    iou: Array  # (P,)
    shift: Array  # (P,) distance of the centres as a share of the float box's diagonal
    scores: Array  # (P, 2) float's, int8's
    alone: tuple[int, int]  # found by float only, by int8 only


def pairs(reference: Sequence[Detections], own: Sequence[Detections]) -> Pairs:
    """Over all pictures."""
    iou: list[float] = []
    shift: list[float] = []
    scores: list[tuple[float, float]] = []
    for a, b in zip(reference, own, strict=True):
        for row, column, overlap in matched(a, b):
            ax, bx = a.xyxy[row], b.xyxy[column]
            apart = np.hypot(*((ax[:2] + ax[2:]) - (bx[:2] + bx[2:])) / 2)
            iou.append(overlap)
            shift.append(float(apart / max(1e-6, float(np.hypot(*(ax[2:] - ax[:2]))))))
            scores.append((float(a.confidence[row]), float(b.confidence[column])))
    alone = (sum(map(len, reference)) - len(iou), sum(map(len, own)) - len(iou))
    return Pairs(np.array(iou), np.array(shift), np.array(scores).reshape(-1, 2), alone)


def matched(a: Detections, b: Detections) -> list[tuple[int, int, float]]:
    """(row of a, row of b, overlap) of the pairs, best first."""
    overlap = boxes.iou(a.xyxy, b.xyxy) * (a.class_id[:, None] == b.class_id[None, :])
    found = []
    while overlap.size and overlap.max() >= HIT:
        row, column = (int(i) for i in np.unravel_index(int(overlap.argmax()), overlap.shape))
        found.append((row, column, float(overlap[row, column])))
        overlap[row, :] = overlap[:, column] = 0
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Precision and recall over thresholds, at overlap .5."""

    threshold: Array  # (T,)
    precision: Array  # (T,) 1 where nothing is found
    recall: Array  # (T,)

    @property
    def f1(self) -> Array:
        """(T,)."""
        return np.asarray(2 * self.precision * self.recall / np.maximum(1e-12, self.precision + self.recall))

    def at(self, threshold: float) -> int:
        """The place of the nearest threshold."""
        return int(np.abs(self.threshold - threshold).argmin())


def curve(found: Sequence[Detections], truth: Sequence[Detections]) -> Curve:
    """Each detection is right if it takes, in falling confidence, the best object of its label that is still free."""
    confidence, hit = [], []
    for own, real in zip(found, truth, strict=True):
        confidence.append(own.confidence)
        hit.append(hits(own, real))
    score, right = np.concatenate(confidence), np.concatenate(hit)
    objects = sum(map(len, truth))
    over = score[None, :] >= _GRID[:, None] - 1e-6  # (T, N)
    told, true = over.sum(axis=1), (over & right).sum(axis=1)
    precision = np.where(told > 0, true / np.maximum(1, told), 1.0)
    return Curve(_GRID, precision, true / max(1, objects))


def hits(found: Detections, truth: Detections) -> Array:
    """(N,) bool: which detections are right."""
    overlap = boxes.iou(found.xyxy, truth.xyxy) * (found.class_id[:, None] == truth.class_id[None, :])
    right = np.zeros(len(found), np.bool_)
    for row in np.argsort(-found.confidence, kind="stable"):
        if overlap.shape[1] and overlap[row].max() >= HIT:
            right[row] = True
            overlap[:, overlap[row].argmax()] = 0
    return right


def recommended(reference: Curve, own: Curve, threshold: float) -> float:
    """The int8 threshold whose precision is nearest to float's at `threshold`; of several, the one nearest to that."""
    wanted = reference.precision[reference.at(threshold)]
    off = np.abs(own.precision - wanted)
    close = off <= off.min() + 0.005
    distance = np.where(close, np.abs(own.threshold - threshold), np.inf)
    return float(own.threshold[distance.argmin()])
