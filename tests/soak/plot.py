"""The run as a picture: memory, threads, open files and the outbox over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tests.soak.measured import Sample

_WIDTH, _HEIGHT, _MARGIN = 1000, 180, 60  # px, of one curve's field; margin at its left
_INK, _LINE, _FONT = (60, 60, 60), (180, 90, 20), cv2.FONT_HERSHEY_SIMPLEX  # BGR


def draw(samples: Sequence[Sample], path: Path) -> None:
    """A PNG with one field a quantity, time from left to right."""
    resting = [one for one in samples if one.at_rest]
    curves = [
        ("memory, MB", [(one.t, one.rss_mb) for one in samples]),
        ("threads at rest", [(one.t, float(one.at_rest[0])) for one in resting if one.at_rest]),
        ("open files at rest", [(one.t, float(one.at_rest[1])) for one in resting if one.at_rest]),
        ("outbox on the disk, MB", [(one.t, one.outbox_mb) for one in samples]),
    ]
    cv2.imwrite(str(path), np.vstack([_field(name, points, samples[-1].t) for name, points in curves if points]))


def _field(name: str, points: list[tuple[float, float]], until: float) -> np.ndarray:
    """(H, W, 3) uint8 BGR: one curve between its least and its most."""
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    least, most = (extreme(value for _, value in points) for extreme in (min, max))
    top, bottom, right = 30, _HEIGHT - 25, _WIDTH - 15
    scale = (bottom - top) / max(most - least, 1e-9)
    curve = [
        (_MARGIN + (right - _MARGIN) * t / max(until, 1e-9), bottom - (value - least) * scale) for t, value in points
    ]
    cv2.polylines(canvas, [np.array(curve, np.float64).round().astype(np.int32)], False, _LINE, 1, cv2.LINE_AA)
    cv2.rectangle(canvas, (_MARGIN, top), (right, bottom), (200, 200, 200), 1)
    for text, at in (
        (name, (_MARGIN, top - 10)),
        (f"{most:.4g}", (5, top + 5)),
        (f"{least:.4g}", (5, bottom + 5)),
        (f"{until / 60:.0f} min", (right - 60, bottom + 18)),
    ):
        cv2.putText(canvas, text, at, _FONT, 0.45, _INK, 1, cv2.LINE_AA)
    return canvas
