"""Classifiers: one number a label, for the picture as a whole.

score  (1, C) or (1, 1, 1, C)   0..1, used as they are
logit  the same shapes          softmax; decode {"activation": "sigmoid"} where labels do not exclude each other

(1, 1) with two labels: the second one's score, the first has the rest.
decode {"activation": "auto"} (files of other makers, float32): softmax unless the numbers are shares already,
none below 0 and together 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from agent.data import Array
from agent.detect import outputs as raw
from agent.modelfile import Card, ModelError, Tensor

_WHOLE = 0.02  # how far rounding may take a sum of shares from 1


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """card.decode of this head."""

    activation: Literal["softmax", "sigmoid", "auto"] | None = None  # None: softmax of logits, scores as they are


class Head:
    """Reads one model's scores."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None:
        decode = raw.decode_options(card, Decode)
        is_logit = any(o.role == "logit" for o in card.outputs)
        self._index = raw.find(card, outputs, "logit" if is_logit else "score")
        self._tensor = outputs[self._index]
        self._activation = decode.activation or ("softmax" if is_logit else None)
        count = int(np.prod(self._tensor.shape))
        self._is_one = count == 1 and len(card.labels) == 2
        if self._tensor.shape[-1] != count or not (self._is_one or count == len(card.labels)):
            raise ModelError(
                f"model output {self._tensor.name!r} is {list(self._tensor.shape)}; {len(card.labels)} labels want"
                f" [1, {len(card.labels)}]"
            )
        if self._is_one and is_logit:
            self._activation = "sigmoid"

    def scores(self, outputs: Sequence[Array]) -> Array:
        """(C,) float32 in 0..1, one a label of the card."""
        values = raw.dequantise(outputs[self._index].reshape(-1), self._tensor).copy()
        if self._activation == "sigmoid":
            values = raw.sigmoid(values)
        elif self._activation == "softmax" or (self._activation == "auto" and not _are_shares(values)):
            values = np.exp(values - values.max())
            values /= values.sum()
        values = np.clip(values, 0.0, 1.0)
        return np.append(1.0 - values, values).astype(np.float32) if self._is_one else values


def _are_shares(values: Array) -> bool:
    return bool(values.min() >= 0.0 and abs(values.sum() - 1.0) <= _WHOLE)
