"""Autoencoders: the picture drawn again from what the model has understood of it; what differs is new to it.

image  (1, h, w, 3) or (1, h, w, 1)   real values, in the range of the card's input: compare it with what was fed
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.data import Array
from agent.detect import outputs as raw
from agent.modelfile import Card, ModelError, Tensor


class Head:
    """Reads one model's picture."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None:
        if card.decode:
            raise ModelError(f"model card: head 'reconstruct' has no decode keys; there are: {', '.join(card.decode)}")
        self._index = raw.find(card, outputs, "image")
        self._tensor = outputs[self._index]
        shape = self._tensor.shape
        if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, 3):
            raise ModelError(f"model output {self._tensor.name!r} (image) is {list(shape)}, not [1, h, w, 3 or 1]")

    def image(self, outputs: Sequence[Array]) -> Array:
        """(h, w, 3 or 1) float32 real values."""
        picture = raw.dequantise(outputs[self._index][0], self._tensor)
        return picture if self._tensor.scale else picture.copy()
