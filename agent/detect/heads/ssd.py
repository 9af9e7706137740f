"""SSD with anchors, cut before its post-processing: TF Object Detection API's box encodings and class scores.

    box    (1, N, 4)  per anchor: ty, tx, th, tw        cy = ty / scale_y · ha + cya      h = exp(th / scale_h) · ha
    score  (1, N, C)  per anchor, in 0..1: a column     cx = tx / scale_x · wa + cxa      w = exp(tw / scale_w) · wa
     or logit         a class, some of them nobody's
                      (background, gaps in the ids)

    N anchors: grid by grid, coarser ones later; in a grid row by row; in a cell shape by shape
    ┌────────── grid 0 ──────────┬───── grid 1 ─────┬── .. ──┐
    │ cell (0,0)    cell (0,1) ..│                  │        │
    │ a0 a1 a2      a0 a1 a2     │ a0 a1 .. a5  ..  │        │
    └────────────────────────────┴──────────────────┴────────┘

The anchors come from the generator's parameters in the card (the converter has checked them against the graph's own
constant). Source: Liu et al., SSD, ECCV 2016, section 2.2; TF Object Detection API, multiple_grid_anchor_generator
and faster_rcnn_box_coder.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from agent.data import Array, Detections
from agent.detect import outputs as raw
from agent.detect.grids import settled
from agent.modelfile import Card, ModelError, Tensor


class Anchors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of the multi-scale anchor generator; sizes are fractions of the input's shorter side."""

    grids: tuple[tuple[int, int], ...]  # (width, height) in cells, finest first
    min_scale: float = 0.2
    max_scale: float = 0.95
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)  # width / height
    interpolated_scale_aspect_ratio: float = 1.0  # of one more anchor, between this grid's scale and the next; 0: none
    reduce_lowest: bool = True  # the finest grid has only three, one of them at scale 0.1


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """card.decode of this head."""

    anchors: Anchors
    columns: tuple[int, ...]  # the score column of each label
    box_scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)  # y, x, h, w


class Head:
    """Decodes one model's boxes and scores."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        decode = raw.decode_options(card, Decode)
        roles = {o.role for o in card.outputs}
        self._is_logit = "logit" in roles
        self._box, self._score = (raw.find(card, outputs, r) for r in ("box", "logit" if self._is_logit else "score"))
        self._tensors = tuple(outputs)
        self._anchors = anchors_cxcywh(decode.anchors, card.input.size)
        _check(decode, card, len(self._anchors), outputs[self._box].shape, outputs[self._score].shape)
        self._label = np.full(outputs[self._score].shape[2], -1, np.int32)  # (C,) label of each column, -1 = nobody's
        self._label[list(decode.columns)] = np.arange(len(decode.columns))
        self._nobodys = np.flatnonzero(self._label < 0)
        self._least = raw.lowest(outputs[self._score], raw.logit(confidence) if self._is_logit else confidence)
        self._box_scales = np.array(decode.box_scales, np.float32)
        self._multi_label = multi_label

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates in px of the model's input; (1, N, 4) and (1, N, C), quantised or float32."""
        scores = outputs[self._score][0]
        is_seen = raw.at_least(scores, self._least)
        is_seen[:, self._nobodys] = False  # before anything is gathered: nearly every anchor is sure of its background
        row, column = np.divmod(is_seen.reshape(-1).nonzero()[0], len(self._label))
        value = raw.dequantise(scores[row, column], self._tensors[self._score])
        confidence = raw.sigmoid(value) if self._is_logit else value
        found = settled(row, self._label[column], confidence, self._multi_label)
        return found.detections(self._xyxy(outputs[self._box], found.row))

    def _xyxy(self, encoded: Array, rows: Array) -> Array:
        """Boxes (K, 4) px of some anchors, from all encodings (1, N, 4)."""
        t = raw.dequantise(encoded[0, rows], self._tensors[self._box]) / self._box_scales
        anchor = self._anchors[rows]
        centre = t[:, 1::-1] * anchor[:, 2:] + anchor[:, :2]  # (K, 2) x, y
        half = np.exp(t[:, :1:-1]) * anchor[:, 2:] / 2  # (K, 2) w / 2, h / 2
        return np.concatenate([centre - half, centre + half], axis=1)


def anchors_cxcywh(parameters: Anchors, size: tuple[int, int]) -> Array:
    """(N, 4) float32 px: the anchors of an input of `size` (width, height), in the order of the outputs' rows."""
    last = len(parameters.grids) - 1
    step = (parameters.max_scale - parameters.min_scale) / max(last, 1)
    scales = [parameters.min_scale + step * i for i in range(last + 1)] + [1.0]
    parts = []
    for i, (columns, rows) in enumerate(parameters.grids):
        wh = _shapes(parameters, scales[i], scales[i + 1], lowest=i == 0) * min(size)  # (A, 2) px
        y, x = np.mgrid[:rows, :columns] + 0.5
        centre = np.stack([x * size[0] / columns, y * size[1] / rows], axis=2)  # (rows, columns, 2) px
        cells = np.repeat(centre.reshape(-1, 1, 2), len(wh), axis=1)
        parts.append(np.concatenate([cells, np.broadcast_to(wh, cells.shape)], axis=2).reshape(-1, 4))
    return np.concatenate(parts).astype(np.float32)


def _shapes(parameters: Anchors, scale: float, next_scale: float, lowest: bool) -> Array:
    """(A, 2) width, height of one cell's anchors, as fractions."""
    if lowest and parameters.reduce_lowest:
        specs = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
    else:
        specs = [(scale, ratio) for ratio in parameters.aspect_ratios]
        if parameters.interpolated_scale_aspect_ratio > 0:
            specs.append(((scale * next_scale) ** 0.5, parameters.interpolated_scale_aspect_ratio))
    return np.array([(s * ratio**0.5, s / ratio**0.5) for s, ratio in specs])


def _check(decode: Decode, card: Card, anchors: int, box: tuple[int, ...], score: tuple[int, ...]) -> None:
    if len(decode.columns) != len(card.labels):
        raise ModelError(
            f"model card: {len(card.labels)} labels but {len(decode.columns)} decode.columns; one column a label"
        )
    if box != (1, anchors, 4) or len(score) != 3 or score[:2] != (1, anchors):
        raise ModelError(
            f"model outputs: {anchors} anchors by the card want boxes [1, {anchors}, 4] and scores [1, {anchors}, C];"
            f" they are {list(box)} and {list(score)}"
        )
    if not decode.columns or min(decode.columns) < 0 or max(decode.columns) >= score[2]:
        raise ModelError(f"model card: decode.columns must lie in 0..{score[2] - 1}, the columns of the scores")
