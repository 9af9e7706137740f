"""Small builders for tests: boxes, detections, frames, and scenes where things walk."""

from collections.abc import Sequence

import numpy as np

from agent.data import Array, Detections, Frame


def xyxy(*rows: Sequence[float]) -> Array:
    """(N, 4) float32."""
    return np.array(rows, np.float32).reshape(-1, 4)


def detections(*rows: Sequence[float], class_id: int = 0) -> Detections:
    """Rows of x1, y1, x2, y2, confidence."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    table = table[np.argsort(-table[:, 4], kind="stable")]
    return Detections(table[:, :4], table[:, 4], np.full(len(table), class_id, np.int32))


def frame(size: tuple[int, int] = (320, 192), seq: int = 0, t: float = 0.0, color: int = 0) -> Frame:
    """A plain picture of a non-square size."""
    return Frame(np.full((size[1], size[0], 3), color, np.uint8), seq, t)
