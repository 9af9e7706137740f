"""Pure box geometry on (N, 4) float arrays. The format stands in every name.

xyxy:   x_min, y_min, x_max, y_max
xywh:   x_min, y_min, width, height
cxcywh: centre x, centre y, width, height
"""

from __future__ import annotations

import cv2
import numpy as np

from agent.data import Array


def xyxy_to_xywh(xyxy: Array) -> Array:
    """(N, 4) -> (N, 4): [10, 20, 30, 60] -> [10, 20, 20, 40]."""
    return np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)


def xyxy_to_cxcywh(xyxy: Array) -> Array:
    """(N, 4) -> (N, 4): [10, 20, 30, 60] -> [20, 40, 20, 40]."""
    return np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], axis=1)


def cxcywh_to_xyxy(cxcywh: Array) -> Array:
    """(N, 4) -> (N, 4): [20, 40, 20, 40] -> [10, 20, 30, 60]."""
    half = cxcywh[:, 2:] / 2
    return np.concatenate([cxcywh[:, :2] - half, cxcywh[:, :2] + half], axis=1)


def area(xyxy: Array) -> Array:
    """(N, 4) -> (N,) px²; 0 for boxes turned inside out."""
    side = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    return np.asarray(side[:, 0] * side[:, 1])


def intersection(a_xyxy: Array, b_xyxy: Array) -> Array:
    """Overlap areas of every pair: (N, 4), (M, 4) -> (N, M) px²."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    side = np.maximum(high - low, 0)
    return np.asarray(side[..., 0] * side[..., 1])


def iou(a_xyxy: Array, b_xyxy: Array) -> Array:
    """Intersection over union of every pair: (N, 4), (M, 4) -> (N, M) in 0..1; 0 where both are empty.

    [0, 0, 2, 2] and [1, 0, 3, 2]: overlap 2, union 6 -> 1/3.
    """
    overlap = intersection(a_xyxy, b_xyxy)
    union = area(a_xyxy)[:, None] + area(b_xyxy)[None, :] - overlap
    return np.asarray(np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0))


def clip_xyxy(xyxy: Array, size: tuple[int, int]) -> Array:
    """Boxes cut at the border of a (width, height) picture."""
    return np.clip(xyxy, 0, np.array([size[0], size[1]] * 2, xyxy.dtype))


def nms(xyxy: Array, confidence: Array, class_id: Array, iou_threshold: float) -> Array:
    """Greedy, class-aware non-maximum suppression: kept rows (K,) by falling confidence.

    Of two boxes of one class that overlap by more than `iou_threshold` the more confident stays.
    """
    if len(xyxy) == 0:
        return np.zeros(0, np.intp)
    kept = cv2.dnn.NMSBoxesBatched(
        xyxy_to_xywh(xyxy).tolist(), confidence.tolist(), class_id.tolist(), 0.0, iou_threshold
    )
    rows = np.asarray(kept, np.intp).ravel()
    return rows[np.argsort(-confidence[rows], kind="stable")]
