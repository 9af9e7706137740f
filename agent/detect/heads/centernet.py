"""CenterNet: objects as peaks of a heat map, cut before its sigmoid and its search for peaks.

    stride s (4 in most)
    heat    (1, H/s, W/s, C)   a label each, logits or 0..1   a peak is the greatest of its 3 × 3, label by label
    size    (1, H/s, W/s, 2)   w, h                           box around the peak's x, y
    or      (1, H/s, W/s, 4)   left, top, right, bottom       distances from it
    offset  (1, H/s, W/s, 2)   x, y in the cell, if it has them

    decode {"score": "logit" | "probability",   what heat is
            "size": "cells" | "px",             what sizes are in: cells of the grid, px of the input
            "order": "xy" | "yx",               yx: size is h, w (top, left, bottom, right), offset is y, x
            "centre": 0.5}                      where in a cell an object is, of its side: 0 with offsets, else 0.5

Only cells that pass the threshold are compared with their neighbours. Among stored 8-bit values neighbours may be
equal; then both are peaks, and suppression removes one. Source: Zhou et al., Objects as Points, arXiv 1904.07850,
section 3; distances as in Liu et al., Training-Time-Friendly Network, AAAI 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from agent.data import Array, Detections
from agent.detect import outputs as raw
from agent.detect.grids import settled
from agent.modelfile import Card, ModelError, Tensor

_AROUND = np.array([[-1], [0], [1]])


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """card.decode of this head."""

    score: Literal["logit", "probability"] = "logit"
    size: Literal["cells", "px"] = "cells"
    order: Literal["xy", "yx"] = "xy"
    centre: float | None = None


class Head:
    """Decodes one model's peaks."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        decode = raw.decode_options(card, Decode)
        self._tensors, self._multi_label = tuple(outputs), multi_label
        self._heat, self._size = raw.find(card, outputs, "heat"), raw.find(card, outputs, "size")
        has_offset = any(o.role == "offset" for o in card.outputs)
        self._offset = raw.find(card, outputs, "offset") if has_offset else None
        self._shape = _check(card, outputs, self._heat, self._size, self._offset)  # (h, w, C)
        self._is_logit, self._swapped = decode.score == "logit", decode.order == "yx"
        self._least = raw.lowest(outputs[self._heat], raw.logit(confidence) if self._is_logit else confidence)
        high, wide, _ = self._shape
        self._cell = np.array([card.input.size[0] / wide, card.input.size[1] / high], np.float32)  # px: width, height
        self._unit = self._cell if decode.size == "cells" else np.ones(2, np.float32)
        centre = decode.centre if decode.centre is not None else 0.0 if has_offset else 0.5
        self._centre = np.float32(centre)  # cells

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates in px of the model's input."""
        heat = outputs[self._heat].reshape(self._shape)
        flat = raw.passing(heat, self._least)
        flat = flat[_is_peak(heat, flat)]
        value = raw.dequantise(heat.reshape(-1)[flat], self._tensors[self._heat])
        confidence = raw.sigmoid(value) if self._is_logit else value
        cell, label = np.divmod(flat, self._shape[2])
        found = settled(cell, label, confidence, self._multi_label)
        return found.detections(self._xyxy(outputs, found.row))

    def _xyxy(self, outputs: Sequence[Array], cells: Array) -> Array:
        """(K, 4) px of some cells (K,)."""
        row, column = np.divmod(cells, self._shape[1])
        place = np.stack([column, row], axis=1).astype(np.float32) + self._centre  # (K, 2) cells
        if self._offset is not None:
            place += self._values(outputs, self._offset, cells)
        place *= self._cell
        sizes = self._values(outputs, self._size, cells)
        low, high = (sizes / 2, sizes / 2) if sizes.shape[1] == 2 else (sizes[:, :2], sizes[:, 2:])
        return np.concatenate([place - low * self._unit, place + high * self._unit], axis=1)

    def _values(self, outputs: Sequence[Array], index: int, cells: Array) -> Array:
        """(K, 2 or 4) float32 of an output, x before y."""
        tensor = self._tensors[index]
        values = raw.dequantise(outputs[index].reshape(-1, tensor.shape[3])[cells], tensor)
        if self._swapped:
            values = values.reshape(len(cells), -1, 2)[:, :, ::-1].reshape(len(cells), -1)
        return values


def _is_peak(heat: Array, flat: Array) -> Array:
    """(K,) bool: stored values (h, w, C) at flat indices that no neighbour of their label exceeds."""
    high, wide, labels = heat.shape
    cell, label = np.divmod(flat, labels)
    row, column = np.divmod(cell, wide)
    rows = np.clip(row + _AROUND, 0, high - 1)  # (3, K); beyond the edge stands the edge's cell, which is a neighbour
    columns = np.clip(column + _AROUND, 0, wide - 1)
    around = (rows[:, None] * wide + columns[None]) * labels + label  # (3, 3, K) flat indices
    values = heat.reshape(-1).take(around)
    return np.asarray(values.max(axis=(0, 1)) == values[1, 1])


def _check(card: Card, outputs: Sequence[Tensor], heat: int, size: int, offset: int | None) -> tuple[int, int, int]:
    """(h, w, C) of the heat map. Raises ModelError where the outputs do not fit each other, the labels or the input."""
    shape, labels = outputs[heat].shape, len(card.labels)
    stride = next(o.stride for o in card.outputs if o.role == "heat")
    wide, high = (-(-side // stride) if stride else -1 for side in card.input.size)
    grid = (high, wide) if stride else shape[1:3]
    fits = shape == (1, *grid, labels) and outputs[size].shape in ((1, *grid, 2), (1, *grid, 4))
    if not fits or (offset is not None and outputs[offset].shape != (1, *grid, 2)):
        found = [list(outputs[i].shape) for i in (heat, size, offset) if i is not None]
        want = f"[1, {grid[0]}, {grid[1]}"
        raise ModelError(
            f"model outputs: {labels} labels want heat {want}, {labels}], size {want}, 2 or 4] and offset {want}, 2];"
            f" they are {', '.join(map(str, found))}"
        )
    return shape[1], shape[2], shape[3]
