"""Graphs that end in TFLite_Detection_PostProcess: boxes, classes, scores and how many, already suppressed, float32.

    op's output   shape       what
    0             (1, N, 4)   ymin, xmin, ymax, xmax, 0..1 of the input
    1             (1, N)      class ids as floats, 0 = the first label (no background)
    2             (1, N)      scores 0..1, falling
    3             (1,)        how many of the N rows count

Two outputs look alike. Their tensors' names tell them apart (a card's roles; else `TFLite_Detection_PostProcess:2`
is the op's third output; else "class" and "score" in their names). Where names say nothing, values do: class ids are
whole numbers, so the one of the two with a broken number is the scores. While both are whole (nothing found yet:
a score of exactly 1 does not happen) there is nothing to report, and the question stays open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from agent.data import Array, Detections
from agent.detect.heads import LIMIT
from agent.modelfile import Card, ModelError, Tensor

_OP = re.compile(r"TFLite_Detection_PostProcess(?::([0-3]))?$")
_OP_OUTPUTS = ("box", "class", "score", "count")


class Head:
    """Reads one model's four outputs."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        """`multi_label` changes nothing: the op has chosen labels already."""
        del multi_label
        self._box, self._pair, self._count = _by_shape(outputs)
        self._order = _order(card, outputs, self._pair)  # (class, score), None: not known yet
        self._confidence = confidence
        self._labels = len(card.labels)
        width, height = card.input.size
        self._px = np.array([width, height, width, height], np.float32)

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates in px of the model's input."""
        count = int(np.clip(outputs[self._count].flat[0], 0, outputs[self._box].shape[1]))
        pair = [outputs[i].reshape(-1)[:count] for i in self._pair]
        if self._order is None:
            self._order = _order_by_values(*pair)
        if self._order is None:
            return Detections.empty()
        class_id, confidence = (pair[i] for i in self._order)
        keep = confidence >= self._confidence
        if self._labels:  # a class beyond the last label has no name, so it is not reported
            keep &= class_id < self._labels
        rows = np.flatnonzero(keep)
        rows = rows[np.argsort(-confidence[rows], kind="stable")][:LIMIT]
        yxyx = outputs[self._box].reshape(-1, 4)[rows]
        return Detections(
            xyxy=np.asarray(yxyx[:, [1, 0, 3, 2]] * self._px, np.float32),
            confidence=confidence[rows].astype(np.float32),
            class_id=class_id[rows].astype(np.int32),
        )


def _by_shape(outputs: Sequence[Tensor]) -> tuple[int, tuple[int, int], int]:
    """Indices of the boxes, of the two that look alike, and of the count."""
    boxes = [i for i, t in enumerate(outputs) if len(t.shape) == 3 and t.shape[0] == 1 and t.shape[2] == 4]
    n = outputs[boxes[0]].shape[1] if len(boxes) == 1 else 0
    pair = [i for i, t in enumerate(outputs) if t.shape == (1, n)]
    counts = [i for i, t in enumerate(outputs) if t.shape == (1,)]
    floats = all(t.dtype == "float32" for t in outputs)
    if (len(outputs), len(boxes), len(pair), len(counts), floats) != (4, 1, 2, 1, True):
        found = ", ".join(f"{t.name} {t.dtype} {list(t.shape)}" for t in outputs)
        raise ModelError(
            "model outputs are not those of TFLite_Detection_PostProcess"
            f" (float32 [1, N, 4], [1, N] twice, [1]): {found}"
        )
    return boxes[0], (pair[0], pair[1]), counts[0]


def _order(card: Card, outputs: Sequence[Tensor], pair: tuple[int, int]) -> tuple[int, int] | None:
    """Which of the pair is (class, score), by the card's roles or the tensors' names; None where they do not say."""
    roles = {o.name: o.role for o in card.outputs}
    first, second = (roles.get(outputs[i].name) or _role(outputs[i].name) for i in pair)
    return {("class", "score"): (0, 1), ("score", "class"): (1, 0)}.get((first, second))


def _role(name: str) -> str:
    """What an output is by its name alone; "" where that does not say."""
    op = _OP.search(name)
    if op:
        return _OP_OUTPUTS[int(op[1] or 0)]
    return next((role for role in ("class", "score") if role in name.lower()), "")


def _order_by_values(first: Array, second: Array) -> tuple[int, int] | None:
    """(0, 1) where `first` are the classes, (1, 0) where `second` are, None while both could be."""
    broken = [bool(np.any(values != np.floor(values))) for values in (first, second)]
    if broken[0] == broken[1]:
        return None
    return (0, 1) if broken[1] else (1, 0)
