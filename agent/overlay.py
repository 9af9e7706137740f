"""Detections drawn on a picture, for people."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from agent.data import Array, Detections

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def color_of(class_id: int) -> tuple[int, int, int]:
    """A steady RGB colour a class; neighbours in the list look different (steps of the golden angle)."""
    r, g, b = colorsys.hsv_to_rgb(class_id * 0.381966 % 1.0, 0.75, 1.0)
    return int(r * 255), int(g * 255), int(b * 255)


def draw(image: Array, detections: Detections, labels: Sequence[str]) -> Array:
    """A copy of an RGB picture (H, W, 3) uint8 with each box, its label and its confidence."""
    canvas = image.copy()
    scale = max(0.4, min(image.shape[:2]) / 1200)  # letters as large as the picture bears
    line = max(1, round(scale * 2.5))
    for xyxy, confidence, class_id in zip(
        detections.xyxy.round().astype(int), detections.confidence, detections.class_id, strict=True
    ):
        x1, y1, x2, y2 = (int(v) for v in xyxy)
        color = color_of(int(class_id))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), color, line)
        text = f"{labels[class_id]} {confidence:.0%}"
        (width, height), base = cv2.getTextSize(text, _FONT, scale, line)
        top = max(0, y1 - height - base - 2)
        cv2.rectangle(canvas, (x1, top), (x1 + width + 2, top + height + base + 2), color, cv2.FILLED)
        cv2.putText(canvas, text, (x1 + 1, top + height + 1), _FONT, scale, (0, 0, 0), line, cv2.LINE_AA)
    return np.ascontiguousarray(canvas)
