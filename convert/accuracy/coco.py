"""COCO's figures of detections against the truth: mAP is pycocotools'.

What it averages is kept apart: overlap .5 and .75, each class, small (< 32² px of the picture), medium and large
(> 96² px) objects.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent import boxes
from agent.data import Array, Detections
from convert import ConvertError

FIGURES = ("map", "ap50", "ap75", "small", "medium", "large")


@dataclass(frozen=True, slots=True, eq=False)
class Coco:
    """COCO's figures of one model; nan where there are no such objects."""

    figures: dict[str, float]  # FIGURES -> 0..1
    by_class: Array  # (C,) float64, AP at .5 to .95
    objects: Array  # (C,) int, in the truth


def coco(found: Sequence[Detections], truth: Sequence[Detections], classes: int) -> Coco:
    """Measure detections, an entry a picture in both.

    Raises ConvertError where pycocotools is missing, or the truth is empty.
    """
    try:
        from pycocotools.coco import COCO  # noqa: PLC0415  only the converter's environment has it
        from pycocotools.cocoeval import COCOeval  # noqa: PLC0415
    except ImportError:
        raise ConvertError("mAP needs pycocotools; pip install 'lookout-agent[convert]'") from None
    if not any(map(len, truth)):
        raise ConvertError("mAP: the labels name no object that the model knows")
    objects = np.bincount(np.concatenate([t.class_id for t in truth]), minlength=classes)
    empty = Coco(dict.fromkeys(FIGURES, 0.0), np.where(objects > 0, 0.0, np.nan), objects)
    with contextlib.redirect_stdout(io.StringIO()):  # its tables and timings
        reference = COCO()
        reference.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(len(truth))],
            "annotations": _rows(truth),
            "categories": [{"id": i} for i in range(classes)],
        }
        reference.createIndex()
        rows = _rows(found)
        if not rows:
            return empty
        evaluation = COCOeval(reference, reference.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = {name: float(v) if v >= 0 else np.nan for name, v in zip(FIGURES, evaluation.stats[:6], strict=True)}
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # (overlaps, recalls, classes), all sizes; -1: no objects
    by_class = np.where(objects > 0, np.clip(precision, 0, None).mean(axis=(0, 1)), np.nan)
    return Coco(figures, by_class, objects)


def _rows(pictures: Sequence[Detections]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for image, found in enumerate(pictures):
        xywh = boxes.xyxy_to_xywh(found.xyxy.astype(np.float64))
        for box, score, label in zip(xywh.tolist(), found.confidence.tolist(), found.class_id.tolist(), strict=True):
            rows.append(
                {"id": len(rows) + 1, "image_id": image, "category_id": label, "bbox": box, "score": score}
                | {"area": box[2] * box[3], "iscrowd": 0}
            )
    return rows
