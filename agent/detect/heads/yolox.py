"""YOLOX, cut before its sigmoids: no anchors, a cell's own offset and size, objectness apart from the labels.

    per stride s = 8, 16, 32
    box         (1, H/s, W/s, 4)   tx ty tw th      x = (tx + column) · s      w = exp(tw) · s
    objectness  (1, H/s, W/s, 1)   logit            y = (ty + row) · s         h = exp(th) · s
    logit       (1, H/s, W/s, C)   a label each     confidence = sigmoid(objectness) · sigmoid(logit)

x, y is the box's centre. Its own models want BGR 0..255, letterboxed into the top-left corner; the card says so.
Source: Ge et al., YOLOX: Exceeding YOLO Series in 2021, arXiv 2107.08430.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.data import Array, Detections
from agent.detect.grids import Grids, ObjectScores
from agent.modelfile import Card, ModelError, Tensor

_GREATEST = 20.0  # exponent of a size: e^20 cells are beyond any picture, and float32 still holds them


class Head:
    """Decodes one model's boxes."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        if card.decode:
            raise ModelError(f"model card: head 'yolox' has no decode keys; there are: {', '.join(card.decode)}")
        self._grids = Grids(card, outputs, {"box": 4, "objectness": 1, "logit": len(card.labels)})
        pairs = [tuple(self._grids.tensor(level, r) for r in ("objectness", "logit")) for level in self._grids.levels]
        self._scores = ObjectScores([(a, b) for a, b in pairs], confidence, multi_label)

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates in px of the model's input."""
        grids = self._grids
        tables = [[grids.table(outputs, level, r) for r in ("objectness", "logit")] for level in grids.levels]
        found = self._scores.candidates([(objectness[:, 0], labels) for objectness, labels in tables])
        t = grids.gather(outputs, "box", found.row)
        stride = grids.stride[found.row]
        centre = (t[:, :2] + grids.centre[found.row] - 0.5) * stride
        half = np.exp(np.minimum(t[:, 2:], _GREATEST)) * stride / 2
        return found.detections(np.concatenate([centre - half, centre + half], axis=1))
