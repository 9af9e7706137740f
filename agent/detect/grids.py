"""Grids of cells at several strides, for the heads that have them: found, thresholded while quantised, gathered.

    640 × 320 px      stride 8: 80 × 40 cells      16: 40 × 20       32: 20 × 10
    outputs           (1, 40, 80, channels)        (1, 20, 40, ..)   (1, 10, 20, ..)
    rows              0 ...................... 3199 | 3200 .... 3999 | 4000 .. 4199       (cell by cell, left to right)

A row is one candidate: a cell, or one of a cell's anchors. Rows run through all grids, the finest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from agent.data import Array, Detections
from agent.detect import outputs as raw
from agent.detect.heads import LIMIT
from agent.modelfile import Card, ModelError, Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What passed the threshold, at most LIMIT; by row, for what is gathered next lies in memory so."""

    row: Array  # (K,) intp, ascending; equal ones with several labels
    class_id: Array  # (K,) int32
    confidence: Array  # (K,) float32
    order: Array  # (K,) intp that puts these columns, and all that is gathered for them, by falling confidence

    def detections(self, xyxy: Array) -> Detections:
        """The answer, of boxes (K, 4) px of these rows."""
        order = self.order
        return Detections(np.asarray(xyxy[order], np.float32), self.confidence[order], self.class_id[order])


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One stride: its rows, and where its outputs are."""

    stride: int  # px
    rows: range
    index: Mapping[str, int]  # role -> place among the outputs


class Grids:
    """The grids of one model: which outputs they are, and where their cells stand."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], channels: Mapping[str, int], per_cell: int = 1) -> None:
        """`channels` a row, of each role that a head needs; `per_cell` anchors share a cell's.

        Raises ModelError: a role that is missing at some stride, or an output of another shape.
        """
        self._tensors, self._channels = tuple(outputs), dict(channels)
        strides = sorted({o.stride for o in card.outputs if o.role in channels and o.stride})
        if not strides:
            raise ModelError(
                f"model card: head {card.head!r} needs outputs with roles {', '.join(channels)}, each with its stride"
            )
        self.levels: list[Level] = []
        centres, start = [], 0
        for stride in strides:
            wide, high = (-(-side // stride) for side in card.input.size)
            index = {role: raw.find(card, outputs, role, stride) for role in channels}
            for role, i in index.items():
                _check(card, outputs[i], role, stride, (1, high, wide, per_cell * channels[role]))
            y, x = np.mgrid[:high, :wide]
            centres.append(np.repeat(np.stack([x, y], axis=2).reshape(-1, 2) + 0.5, per_cell, axis=0))
            self.levels.append(Level(stride, range(start, start + wide * high * per_cell), index))
            start += wide * high * per_cell
        self.centre = np.concatenate(centres).astype(np.float32)  # (rows, 2) x, y in cells of the row's own grid
        counts = [len(level.rows) for level in self.levels]
        self.stride = np.repeat(np.array(strides, np.float32), counts)[:, None]  # (rows, 1) px
        self._ends = np.array([level.rows.stop for level in self.levels])
        self._quant = {role: self._per_row(role, counts) for role in channels}

    def _per_row(self, role: str, counts: Sequence[int]) -> tuple[Array, Array]:
        """Zero point and scale of each row's output (rows,) float32."""
        zero_point, scale = _steps([self.tensor(level, role) for level in self.levels])
        return np.repeat(zero_point, counts), np.repeat(scale, counts)

    def tensor(self, level: Level, role: str) -> Tensor:
        """How the output of a role is stored."""
        return self._tensors[level.index[role]]

    def table(self, outputs: Sequence[Array], level: Level, role: str) -> Array:
        """An output as (rows of the level, channels), as stored."""
        return outputs[level.index[role]].reshape(-1, self._channels[role])

    def gather(self, outputs: Sequence[Array], role: str, rows: Array, columns: slice = slice(None)) -> Array:
        """(K, channels) float32 real values of ascending rows (K,)."""
        parts, begin = [], 0
        for level, end in zip(self.levels, np.searchsorted(rows, self._ends).tolist(), strict=True):
            if end > begin:
                table = self.table(outputs, level, role)  # whole rows first: `take` copies a slice of all of them
                parts.append(table.take(rows[begin:end] - level.rows.start, axis=0)[:, columns])
            begin = end
        if not parts:
            return np.zeros((0, len(range(self._channels[role])[columns])), np.float32)
        return self.real(role, np.concatenate(parts), rows[:, None])

    def real(self, role: str, stored: Array, rows: Array) -> Array:
        """float32 real values of what the output of a role stores for some rows; both broadcast."""
        return _real(stored, self._quant[role], rows)


class Scores:
    """Candidates of grids where a cell has one score a label."""

    def __init__(self, grids: Grids, role: str, confidence: float, multi_label: bool) -> None:
        """`role` is "logit" or "score"."""
        self._grids, self._role, self._multi_label = grids, role, multi_label
        self._labels = grids.tensor(grids.levels[0], role).shape[3]
        real = raw.logit(confidence) if role == "logit" else confidence
        self._least = [raw.lowest(grids.tensor(level, role), real) for level in grids.levels]

    def candidates(self, outputs: Sequence[Array]) -> Candidates:
        """Of one crop."""
        flats, stored = [], []
        for level, least in zip(self._grids.levels, self._least, strict=True):
            table = self._grids.table(outputs, level, self._role)
            flat = raw.passing(table, least)
            if flat.size:
                stored.append(table.reshape(-1)[flat])
                flats.append(flat + level.rows.start * table.shape[1])
        if not flats:
            return NONE
        row, label = np.divmod(np.concatenate(flats), self._labels)
        value = self._grids.real(self._role, np.concatenate(stored), row)
        return settled(row, label, raw.sigmoid(value) if self._role == "logit" else value, self._multi_label)


class ObjectScores:
    """Candidates where confidence is sigmoid(objectness) · sigmoid(label's logit), so that neither may be below it."""

    def __init__(self, tensors: Sequence[tuple[Tensor, Tensor]], confidence: float, multi_label: bool) -> None:
        """`tensors` of objectness and of labels, a pair a level."""
        self._confidence, self._multi_label, real = confidence, multi_label, raw.logit(confidence)
        objects, labels = [o for o, _ in tensors], [t for _, t in tensors]
        self._least_object = [raw.lowest(tensor, real) for tensor in objects]
        self._least_label = np.array([raw.lowest(tensor, real) for tensor in labels], np.float32)  # (levels,)
        self._object_steps, self._label_steps = _steps(objects), _steps(labels)

    def candidates(self, tables: Sequence[tuple[Array, Array]]) -> Candidates:
        """Of one crop; objectness (rows,) and labels (rows, C) as stored, a pair a level."""
        found = [raw.passing(objects, least) for (objects, _), least in zip(tables, self._least_object, strict=True)]
        level = np.repeat(np.arange(len(found)), [len(f) for f in found])  # (K,)
        if not level.size:
            return NONE
        starts = accumulate((len(objects) for objects, _ in tables[:-1]), initial=0)
        row = np.concatenate([f + start for f, start in zip(found, starts, strict=True)])
        objects = np.concatenate([objects[f] for f, (objects, _) in zip(found, tables, strict=True)])
        labels = np.concatenate([labels[f] for f, (_, labels) in zip(found, tables, strict=True)])  # (K, C)
        passed = (labels >= self._least_label[level, None]).reshape(-1).nonzero()[0]
        among, label = np.divmod(passed, labels.shape[1])
        is_object = raw.sigmoid(_real(objects, self._object_steps, level))
        value = is_object[among] * raw.sigmoid(_real(labels.reshape(-1)[passed], self._label_steps, level[among]))
        keep = np.flatnonzero(value >= self._confidence)
        return settled(row[among[keep]], label[keep], value[keep], self._multi_label)


def settled(rows: Array, labels: Array, confidence: Array, multi_label: bool) -> Candidates:
    """Of ascending rows: the best label of each (or all), the most confident LIMIT of them."""
    if not multi_label:
        best = raw.best_of_rows(rows, confidence)
        if len(best) < len(rows):
            rows, labels, confidence = rows[best], labels[best], confidence[best]
    order = np.argsort(-confidence, kind="stable")
    if len(order) > LIMIT:
        best = np.sort(order[:LIMIT])
        rows, labels, confidence = rows[best], labels[best], confidence[best]
        order = np.argsort(-confidence, kind="stable")
    return Candidates(rows, labels.astype(np.int32), confidence, order)


NONE = Candidates(np.zeros(0, np.intp), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.intp))


def _steps(tensors: Sequence[Tensor]) -> tuple[Array, Array]:
    """Zero points and scales (n,) float32; of float tensors 0 and 1."""
    zero_point = np.array([t.zero_point for t in tensors], np.float32)
    return zero_point, np.array([t.scale or 1.0 for t in tensors], np.float32)


def _real(stored: Array, steps: tuple[Array, Array], places: Array) -> Array:
    """float32 real values of stored ones, each by the zero point and scale at its place."""
    zero_point, scale = steps
    values = stored.astype(np.float32)
    values -= zero_point.take(places)
    values *= scale.take(places)
    return values


def _check(card: Card, tensor: Tensor, role: str, stride: int, wanted: tuple[int, ...]) -> None:
    if tensor.shape != wanted:
        wide, high = card.input.size
        raise ModelError(
            f"model output {tensor.name!r} ({role}) is {list(tensor.shape)}; stride {stride} on {wide}x{high} px"
            f" and {len(card.labels)} labels want {list(wanted)}"
        )
