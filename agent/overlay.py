"""Detections, masks and heat drawn on a picture, for people."""

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


def paint(image: Array, mask: Array) -> Array:
    """A copy of an RGB picture (H, W, 3) uint8 under the colours of its labels (h, w) int; label 0 stays clear."""
    colors = np.array([color_of(i) for i in range(int(mask.max()) + 1)], np.uint8)
    size = image.shape[1], image.shape[0]
    painted = cv2.resize(colors[mask], size, interpolation=cv2.INTER_NEAREST)
    is_painted = cv2.resize((mask > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    canvas = image.copy()
    canvas[is_painted] = cv2.addWeighted(image, 0.4, painted, 0.6, 0.0)[is_painted]
    return canvas


def glow(image: Array, heat: Array, xyxy: tuple[float, float, float, float]) -> Array:
    """A copy of an RGB picture (H, W, 3) uint8 that glows red where it is hot: heat (h, w) 0..1 over the box xyxy px.

    Below 0.3 it stays clear.
    """
    canvas = image.copy()
    x1, y1, x2, y2 = (round(v) for v in xyxy)
    place = canvas[max(0, y1) : y2, max(0, x1) : x2]
    if place.size:
        smooth = cv2.resize(np.asarray(heat, np.float32), place.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        much = np.clip((smooth - 0.3) / 0.7, 0, 1)[:, :, None] * 0.7  # (h, w, 1) share of red
        place[...] = (place * (1 - much) + np.array([255, 0, 0]) * much).round()
    cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), (255, 0, 0), max(1, round(min(image.shape[:2]) / 400)))
    return np.ascontiguousarray(canvas)
