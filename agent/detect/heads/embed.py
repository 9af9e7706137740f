"""Embeddings: a picture becomes a point, and pictures of one thing lie near each other.

vector  (1, D) or (1, 1, 1, D)   any length; answered with length 1, so that the scalar product of two is the
                                 cosine of their angle
decode {"mirror": true}          what it is called is the same in a mirror: the vector is that of both views
                                 (detect/secondary/embedding.py looks twice)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from agent.data import Array
from agent.detect import outputs as raw
from agent.modelfile import Card, ModelError, Tensor


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """card.decode of this head."""

    mirror: bool = False


class Head:
    """Reads one model's vector."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None:
        self.mirror = raw.decode_options(card, Decode).mirror
        self._index = raw.find(card, outputs, "vector")
        self._tensor = outputs[self._index]
        if self._tensor.shape[-1] != int(np.prod(self._tensor.shape)):
            raise ModelError(f"model output {self._tensor.name!r} (vector) is {list(self._tensor.shape)}, not [1, D]")

    def vector(self, outputs: Sequence[Array]) -> Array:
        """(D,) float32 of length 1; all 0 where the model says nothing."""
        return unit(raw.dequantise(outputs[self._index].reshape(-1), self._tensor))


def unit(values: Array) -> Array:
    """(D,) -> float32 of length 1, or all 0 as it was."""
    length = float(np.linalg.norm(values))
    return np.asarray(values / length if length > 0 else values, np.float32)
