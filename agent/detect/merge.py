"""What several crops of one frame saw -> one list of objects.

    ┌──── crop A ────┐
    │   ┌──┐      ┌──┼─┐ ◄─ whole in B: stays
    │   │  │      │▒▒│ │
    │   └──┘      └──┼─┘
    └────────────────┘ ▲
        ┌── crop B ──┼──────┐   ▒ cut at A's edge: goes, the box of B covers it

A box that ends at an edge of its crop, where the frame goes on, is cut. Whole boxes come first, by confidence; a cut
one stays only where neither they, nor a larger cut one, nor a track that reaches beyond the edge explains it.
"""

from __future__ import annotations

import numpy as np

from agent import boxes
from agent.data import Array, Detections

_EDGE = 0.015  # of the crop's side: a box that ends so near an edge is cut
_ACROSS = 0.5  # IoU from which boxes of two crops are one object: at two scales they fit less well than at one
_COVERED = 0.6  # share of a cut box inside another box of its label from which that explains it


def cut(xyxy: Array, crop: Array, size: tuple[int, int]) -> Array:
    """(N,) bool: boxes (N, 4) px of the frame that end at an edge of their crop (4,), but not of the frame."""
    near = _EDGE * np.tile(crop[2:] - crop[:2], 2)
    inner = crop != np.array([0, 0, *size])
    ends = np.concatenate([xyxy[:, :2] <= (crop + near)[:2], xyxy[:, 2:] >= (crop - near)[2:]], axis=1)
    return np.asarray((ends & inner).any(axis=1))


def merge(found: Detections, crop: Array, is_cut: Array, iou: float, explained: Array | None = None) -> Array:
    """Rows (K,) of `found` to keep, by falling confidence.

    `crop` (N,) int says which crop a row is of, `is_cut` (N,) bool whether its edge cuts it; boxes of one crop and
    label that overlap by more than `iou` are one object. `explained` (N,) bool: cut boxes that some track is known
    to be.
    """
    overlap = boxes.intersection(found.xyxy, found.xyxy)
    area = boxes.area(found.xyxy)
    union = area[:, None] + area[None, :] - overlap
    same = found.class_id[:, None] == found.class_id[None, :]
    limit = np.where(crop[:, None] == crop[None, :], iou, min(iou, _ACROSS))
    beats = same & (overlap > limit * union)  # (N, N): one of the two has to go
    beats |= same & is_cut[None, :] & (overlap > _COVERED * area[None, :])  # row explains the cut column
    alive = np.ones(len(found), np.bool_) if explained is None else ~(explained & is_cut)
    kept = []
    for row in np.lexsort((-np.where(is_cut, area, found.confidence), is_cut)):
        if alive[row]:
            kept.append(row)
            alive &= ~beats[row]
    rows = np.array(kept, np.intp)
    return rows[np.argsort(-found.confidence[rows], kind="stable")]


def of_tracks(xyxy: Array, class_id: Array, crop_of: Array, expected_xyxy: Array, expected_class: Array) -> Array:
    """(N,) bool: boxes that are part of an expected track which is not wholly in their crop `crop_of` (N, 4)."""
    covers = boxes.intersection(xyxy, expected_xyxy) > _COVERED * boxes.area(xyxy)[:, None]
    covers &= class_id[:, None] == expected_class[None, :]
    beyond = (expected_xyxy[None, :, :2] < crop_of[:, None, :2]) | (expected_xyxy[None, :, 2:] > crop_of[:, None, 2:])
    return np.asarray((covers & beyond.any(axis=2)).any(axis=1))
