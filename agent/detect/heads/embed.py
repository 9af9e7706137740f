"""Embeddings: a picture becomes a point, and pictures of one thing lie near each other.

vector  (1, D) or (1, 1, 1, D)   any length; answered with length 1, so that the scalar product of two is the
                                 cosine of their angle
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.data import Array
from agent.detect import outputs as raw
from agent.modelfile import Card, ModelError, Tensor


class Head:
    """Reads one model's vector."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None:
        if card.decode:
            raise ModelError(f"model card: head 'embed' has no decode keys; there are: {', '.join(card.decode)}")
        self._index = raw.find(card, outputs, "vector")
        self._tensor = outputs[self._index]
        if self._tensor.shape[-1] != int(np.prod(self._tensor.shape)):
            raise ModelError(f"model output {self._tensor.name!r} (vector) is {list(self._tensor.shape)}, not [1, D]")

    def vector(self, outputs: Sequence[Array]) -> Array:
        """(D,) float32 of length 1; all 0 where the model says nothing."""
        values = raw.dequantise(outputs[self._index].reshape(-1), self._tensor)
        length = float(np.linalg.norm(values))
        return np.asarray(values / length, np.float32) if length > 0 else np.zeros_like(values)
