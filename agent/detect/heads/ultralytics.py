"""Ultralytics' own TFLite exports: everything in one tensor, float or 8-bit, told by the metadata.json inside.

    predictions  (1, 4+C+extra, N)   cx cy w h │ C scores 0..1 │ extra        v8, v9, 11: a column a candidate
                 (1, N, 4+C+extra)   the same, a row a candidate
                 (1, N, 5+C)         cx cy w h │ objectness │ C scores        v5: decode {"objectness": true}
                 (1, N, 6+extra)     x1 y1 x2 y2 │ score │ class │ extra      v10, 26, or NMS in the graph:
                                                                              decode {"suppressed": true}
       extra     pose: K·D of x, y(, visibility)   decode {"keypoints": [K, D]}
                 segment: M coefficients
    prototypes   (1, h, w, M) or (1, M, h, w)      segment only, see yolo_segment.py

Boxes and keypoints are fractions of the input's width and height (decode {"boxes": "fraction"}, what their exporter
writes) or px ({"boxes": "px"}, a plain conversion of their ONNX; where that is 8-bit, one scale for boxes and scores
leaves the scores nothing: convert it again). Source: Ultralytics' documentation of the TFLite and LiteRT formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from agent.boxes import cxcywh_to_xyxy
from agent.data import Array, Detections
from agent.detect import outputs as raw
from agent.detect.grids import Candidates, settled
from agent.detect.heads.yolo_segment import Prototypes
from agent.modelfile import Card, ModelError, Tensor


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """card.decode of this head."""

    boxes: Literal["fraction", "px"] = "fraction"
    objectness: bool = False
    suppressed: bool = False
    keypoints: tuple[int, int] = (0, 3)  # how many, and numbers a keypoint: 2, or 3 with its visibility


class Head:
    """Decodes one model's only tensor."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        self._how = raw.decode_options(card, Decode)
        self._index = raw.find(card, outputs, "predictions")
        self._tensor = outputs[self._index]
        self._prototypes = Prototypes(card, outputs) if any(o.role == "prototypes" for o in card.outputs) else None
        extra = self._prototypes.count if self._prototypes else self._how.keypoints[0] * self._how.keypoints[1]
        self._labels = len(card.labels)
        self._first = 6 if self._how.suppressed else 4 + self._how.objectness  # column of the scores, or of the extra
        self._in_rows = _in_rows(self._tensor, self._first + extra + (0 if self._how.suppressed else self._labels))
        self._extra = slice(-extra or None, None) if extra else slice(0, 0)
        self._confidence, self._multi_label = confidence, multi_label
        self._least = raw.lowest(self._tensor, confidence)
        self._px = np.array(card.input.size if self._how.boxes == "fraction" else (1, 1), np.float32)

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates in px of the model's input."""
        return self._read(outputs)[0]

    def poses(self, outputs: Sequence[Array]) -> tuple[Detections, Array]:
        """Candidates, and their keypoints (N, K, 3): x, y in px of the model's input, visibility 0..1."""
        found, extra = self._read(outputs)
        keypoints = extra.reshape(len(found), *self._how.keypoints)
        visible = keypoints[..., 2:] if keypoints.shape[2] > 2 else np.ones((*keypoints.shape[:2], 1), np.float32)
        return found, np.concatenate([keypoints[..., :2] * self._px, visible], axis=2)

    def instances(self, outputs: Sequence[Array]) -> tuple[Detections, Array]:
        """Candidates, and their coefficients (N, M) float32."""
        return self._read(outputs)

    def masks(self, outputs: Sequence[Array], xyxy: Array, coefficients: Array) -> Array:
        """(K, h, w) bool of boxes (K, 4) px of the model's input, at the prototypes' size; nothing outside its box."""
        if self._prototypes is None:
            return np.zeros((len(xyxy), 1, 1), np.bool_)
        return self._prototypes.masks(outputs, xyxy, coefficients)

    def _read(self, outputs: Sequence[Array]) -> tuple[Detections, Array]:
        """Candidates, and their last columns as they are."""
        stored = outputs[self._index][0]
        table = stored if self._in_rows else stored.T  # (N, columns); a view
        found = self._suppressed(table) if self._how.suppressed else self._candidates(table)
        real = raw.dequantise(table[found.row], self._tensor)
        xyxy = real[:, :4] if self._how.suppressed else cxcywh_to_xyxy(real[:, :4])
        return found.detections(xyxy * np.tile(self._px, 2)), real[found.order, self._extra]

    def _candidates(self, table: Array) -> Candidates:
        scores = table[:, self._first : self._first + self._labels]
        if self._how.objectness:
            return self._of_objects(table[:, 4], scores)
        if self._in_rows:
            row, label = np.divmod(raw.passing(scores, self._least), self._labels)
        else:  # memory runs along the candidates: search it in that order
            label, row = np.divmod(raw.passing(scores.T, self._least), len(table))
            order = np.argsort(row, kind="stable")
            label, row = label[order], row[order]
        return settled(row, label, raw.dequantise(scores[row, label], self._tensor), self._multi_label)

    def _of_objects(self, objectness: Array, scores: Array) -> Candidates:
        """Confidence is objectness · score, so that neither may be below it."""
        rows = raw.passing(objectness, self._least)
        among, label = np.divmod(raw.passing(scores[rows], self._least), self._labels)
        row = rows[among]
        confidence = raw.dequantise(objectness[row], self._tensor) * raw.dequantise(scores[row, label], self._tensor)
        keep = confidence >= self._confidence
        return settled(row[keep], label[keep], confidence[keep], self._multi_label)

    def _suppressed(self, table: Array) -> Candidates:
        row = raw.passing(table[:, 4], self._least)
        label = np.rint(raw.dequantise(table[row, 5], self._tensor)).astype(np.intp)
        known = (label >= 0) & (label < self._labels)  # a class beyond the last label has no name
        row, label = row[known], label[known]
        return settled(row, label, raw.dequantise(table[row, 4], self._tensor), self._multi_label)


def _in_rows(tensor: Tensor, columns: int) -> bool:
    """Whether a candidate is a row (1, N, columns) or a column (1, columns, N). Raises ModelError: neither."""
    shape = tensor.shape
    if len(shape) != 3 or shape[0] != 1 or columns not in shape[1:]:
        raise ModelError(
            f"model output {tensor.name!r} (predictions) is {list(shape)}; the card wants {columns} numbers a"
            f" candidate: [1, {columns}, N] or [1, N, {columns}]"
        )
    return shape[1] != columns
