"""Which one is it? A classifier names a track by vote over its best crops, or a place by its last ones.

    [second.sign]
    kind = "classify"
    file = "signs.tflite"
    labels = ["stop sign"]          # of the detector: whom it looks at

Vote: a logarithmic opinion pool (Genest & Zidek, Statistical Science, 1986). Each look's log-probabilities count by its
weight, and together as √n looks, not n: crops of one object err alike. A single look says "impossible" only down to
FLOOR. What the labels' scores leave of 1 is "none of them". Below `threshold` the track is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct

from agent.data import Array, Reading
from agent.detect.secondary import Eye, Where
from agent.detect.secondary.network import Network

_FLOOR = 0.01


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[second.NAME], kind "classify"."""

    file: Path  # a classifier: task "classify"
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.6  # of the vote; below it the name is not known


def create(options: Options, where: Where) -> Eye:
    """Raises ModelError: no classifier."""
    del where
    return _Classify(options)


class _Classify:
    step = 0.0

    def __init__(self, options: Options) -> None:
        self._network, self._threshold = Network(options.file), options.threshold
        self._head = self._network.model.classifier()
        self._labels = self._network.model.card.labels
        self.side = self._network.side
        self.about = f"{self._network.model.name}, {len(self._labels)} names"

    def look(self, picture: Array, scale: float) -> Array:
        del scale
        return self._head.scores(self._network.run(picture)[0])

    def sum_up(self, t: float, looks: Sequence[tuple[float, Any]]) -> Reading:
        shares = vote([weight for weight, _ in looks], np.stack([scores for _, scores in looks]))
        best = int(shares.argmax())
        is_known = best < len(self._labels) and shares[best] >= self._threshold
        confidence = float(shares[: len(self._labels)].max())
        return Reading(t, self._labels[best] if is_known else None, confidence, len(looks), {"limit": self._threshold})


def vote(weights: Sequence[float], scores: Array) -> Array:
    """(n,), (n, C) of 0..1 -> (C + 1,): what they say together; the last is "none of these"."""
    total = np.maximum(1.0, scores.sum(axis=1, keepdims=True))  # labels that do not exclude each other may say more
    rest = 1.0 - scores.sum(axis=1, keepdims=True) / total
    shares = np.maximum(np.concatenate([scores / total, rest], axis=1), _FLOOR)
    shares /= shares.sum(axis=1, keepdims=True)
    weight = np.asarray(weights, np.float64)
    many = np.sqrt(weight.sum() ** 2 / np.square(weight).sum())  # looks' worth
    logs = many * (weight @ np.log(shares)) / weight.sum()
    together = np.exp(logs - logs.max())
    return np.asarray(together / together.sum())
