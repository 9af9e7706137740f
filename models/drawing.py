"""Curves as a PNG, drawn with OpenCV: how a training went, how much more pictures help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from agent.data import Array
from convert import output

Points = Sequence[tuple[float, float]]
_SIZE = (900, 420)  # px
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 50, 50
_COLORS = ((200, 110, 30), (40, 90, 220), (60, 150, 60), (150, 60, 150), (60, 160, 190))  # BGR
_INK, _GRID = (60, 60, 60), (225, 225, 225)


def curves(path: Path, title: str, lines: Mapping[str, Points], across: str) -> None:
    """One drawing of named lines over the same axes; y starts at 0. Raises ConvertError: cannot be written."""
    points = [point for line in lines.values() for point in line]
    if not points:
        return
    x = (min(p[0] for p in points), max(p[0] for p in points))
    top = max(p[1] for p in points)
    image = np.full((_SIZE[1], _SIZE[0], 3), 255, np.uint8)
    _axes(image, x, top, title, across)
    left = _LEFT
    for number, (name, line) in enumerate(lines.items()):
        color = _COLORS[number % len(_COLORS)]
        at = np.array([_place(p, x, top) for p in line], np.int32).reshape(-1, 1, 2)
        cv2.polylines(image, [at], False, color, 2, cv2.LINE_AA)
        for dot in at[:, 0].tolist():
            cv2.circle(image, dot, 3, color, -1, cv2.LINE_AA)
        left += _write(image, name, (left, 40), color) + 24
    output.write({path: cv2.imencode(".png", image)[1].tobytes()})


def _axes(image: Array, x: tuple[float, float], top: float, title: str, across: str) -> None:
    _write(image, title, (_LEFT, 20), _INK)
    for part in range(5):
        y = top * part / 4
        (left, level), (right, _) = _place((x[0], y), x, top), _place((x[1], y), x, top)
        cv2.line(image, (left, level), (right, level), _GRID, 1)
        _write(image, f"{y:.3g}", (10, level + 4), _INK)
        value = x[0] + (x[1] - x[0]) * part / 4
        _write(image, f"{value:.4g}", (_place((value, 0), x, top)[0] - 10, _SIZE[1] - 28), _INK)
    _write(image, across, (_LEFT, _SIZE[1] - 8), _INK)


def _place(point: tuple[float, float], x: tuple[float, float], top: float) -> tuple[int, int]:
    """Data -> px."""
    share = (point[0] - x[0]) / ((x[1] - x[0]) or 1), point[1] / (top or 1)
    width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM
    return round(_LEFT + share[0] * width), round(_TOP + (1 - share[1]) * height)


def _write(image: Array, text: str, at: tuple[int, int], color: tuple[int, int, int]) -> int:
    """How wide it is, px."""
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, 1, cv2.LINE_AA)
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0])
