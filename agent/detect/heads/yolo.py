"""YOLO cut before its decoding: v8, v9 and 11 (no anchors, distances as distributions), and v5 (anchors).

    per stride s = 8, 16, 32                                      v8, v9, 11: decode {"box": "dfl", "reg_max": 16}
    box    (1, H/s, W/s, 4·16)   left │ top │ right │ bottom      a side: 16 logits, one a distance 0, 1, .. 15 cells;
                                                                  softmax, mean distance · s px from the cell's centre
    logit  (1, H/s, W/s, C)      a label each                     confidence = sigmoid
    or score                     the same after the sigmoid       reg_max 1: no softmax, the distances as they are

    per stride                                                    v5: decode {"box": "anchors", "anchors": [[[w, h] × A]
    grid   (1, H/s, W/s, A·(5+C))   A times: tx ty tw th │ obj │ C            × strides, finest first, px]}
           x = (2·sigmoid(tx) - 0.5 + column) · s                 w = (2·sigmoid(tw))² · anchor's w
           y = (2·sigmoid(ty) - 0.5 + row) · s                    h = (2·sigmoid(th))² · anchor's h
           confidence = sigmoid(obj) · sigmoid(label)

Source: Li et al., Generalized Focal Loss, NeurIPS 2020 (distances as distributions); Ultralytics' documentation of
YOLOv5, "eliminate grid sensitivity".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from agent.data import Array, Detections
from agent.detect import outputs as raw
from agent.detect.grids import Candidates, Grids, ObjectScores, Scores
from agent.modelfile import Card, ModelError, Tensor

_EXPONENT = 80.0  # below it neither exp(x) nor a sum of some overflows float32, nor does exp(-x) vanish


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """card.decode of this head, and of those that add to it."""

    box: Literal["dfl", "anchors"] = "dfl"
    reg_max: int = 16  # distances in a side's distribution
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()  # (width, height) px, a list a stride
    keypoints: int = 0  # a pose's


class Head:
    """Decodes one model's boxes, of either kind."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        kind = Distances if decode_of(card).box == "dfl" else Anchored
        self._boxes: Distances | Anchored = kind(card, outputs, confidence, multi_label)

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates in px of the model's input."""
        found = self._boxes.candidates(outputs)
        return found.detections(self._boxes.xyxy(outputs, found.row))


class Distances:
    """Boxes as distances from their cell's centre, and one score a label."""

    def __init__(
        self,
        card: Card,
        outputs: Sequence[Tensor],
        confidence: float,
        multi_label: bool = False,
        more: dict[str, int] | None = None,
    ) -> None:
        """`more` roles with their channels, for the heads that add to boxes."""
        decode = decode_of(card)
        score = "score" if any(o.role == "score" for o in card.outputs) else "logit"
        self.grids = Grids(card, outputs, {"box": 4 * decode.reg_max, score: len(card.labels), **(more or {})})
        self._scores = Scores(self.grids, score, confidence, multi_label)
        distance = np.arange(decode.reg_max, dtype=np.float32)  # (reg_max,) cells
        self._moments = np.stack([distance, np.ones_like(distance)], axis=1)  # weights @ these: Σ w · distance, Σ w
        boxes = [self.grids.tensor(level, "box") for level in self.grids.levels]
        self._bounded = all(t.scale and t.scale * 255 < _EXPONENT for t in boxes)

    def candidates(self, outputs: Sequence[Array]) -> Candidates:
        """Of one crop."""
        return self._scores.candidates(outputs)

    def xyxy(self, outputs: Sequence[Array], rows: Array) -> Array:
        """(K, 4) px of some rows (K,)."""
        ltrb = self.grids.gather(outputs, "box", rows)  # (K, 4 · reg_max)
        if len(self._moments) > 1:
            weights = ltrb.reshape(-1, len(self._moments))
            if not self._bounded:
                weights -= weights.max(axis=1, keepdims=True)
            np.exp(weights, out=weights)
            sums = weights @ self._moments  # (K · 4, 2)
            ltrb = (sums[:, 0] / sums[:, 1]).reshape(-1, 4)
        centre = self.grids.centre.take(rows, axis=0)
        xyxy = np.concatenate([centre - ltrb[:, :2], centre + ltrb[:, 2:]], axis=1)
        xyxy *= self.grids.stride.take(rows, axis=0)
        return xyxy


class Anchored:
    """Boxes as changes of anchors, and one objectness before the labels."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        decode = decode_of(card)
        per_cell = len(decode.anchors[0]) if decode.anchors else 0
        self._grids = Grids(card, outputs, {"grid": 5 + len(card.labels)}, max(1, per_cell))
        levels = self._grids.levels
        if len(decode.anchors) != len(levels) or any(len(a) != per_cell for a in decode.anchors):
            raise ModelError(
                f"model card: {len(levels)} strides want as many lists of anchors, all of one length;"
                f" decode.anchors has {[len(a) for a in decode.anchors]}"
            )
        cells = [len(level.rows) // per_cell for level in levels]
        tiled = [np.tile(np.array(a, np.float32), (n, 1)) for a, n in zip(decode.anchors, cells, strict=True)]
        self._anchor = np.concatenate(tiled)  # (rows, 2) px: width, height
        tensors = [self._grids.tensor(level, "grid") for level in levels]
        self._scores = ObjectScores([(t, t) for t in tensors], confidence, multi_label)

    def candidates(self, outputs: Sequence[Array]) -> Candidates:
        """Of one crop."""
        tables = [self._grids.table(outputs, level, "grid") for level in self._grids.levels]
        return self._scores.candidates([(table[:, 4], table[:, 5:]) for table in tables])

    def xyxy(self, outputs: Sequence[Array], rows: Array) -> Array:
        """(K, 4) px of some rows (K,)."""
        t = 2 * raw.sigmoid(self._grids.gather(outputs, "grid", rows, slice(0, 4)))
        centre = (t[:, :2] - 1.0 + self._grids.centre[rows]) * self._grids.stride[rows]  # centre has the other half
        half = t[:, 2:] ** 2 * self._anchor[rows] / 2
        return np.concatenate([centre - half, centre + half], axis=1)


def decode_of(card: Card) -> Decode:
    """card.decode, checked. Raises ModelError."""
    decode = raw.decode_options(card, Decode)
    if decode.reg_max < 1:
        raise ModelError(f"model card: decode.reg_max must be 1 or more, it is {decode.reg_max}")
    return decode
