"""Semantic segmenters: a label for every cell of a grid over the picture.

mask   (1, h, w) or (1, h, w, 1)   labels, integers of any size
score  (1, h, w, C)                the greatest is the cell's label; that needs no real values, so 8-bit outputs are
 or logit                          compared as stored
       (1, h, w, 1)                two labels: the second where score >= 0.5, or logit >= 0
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.data import Array
from agent.detect import outputs as raw
from agent.modelfile import Card, ModelError, Tensor


class Head:
    """Reads one model's labels."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None:
        if card.decode:
            raise ModelError(f"model card: head 'segment' has no decode keys; there are: {', '.join(card.decode)}")
        roles = {o.role for o in card.outputs}
        role = next((r for r in ("mask", "score", "logit") if r in roles), "mask")
        self._index = raw.find(card, outputs, role)
        tensor, labels = outputs[self._index], len(card.labels)
        shape = (*tensor.shape, 1) if role == "mask" and len(tensor.shape) == 3 else tensor.shape
        self._least: float | None = None  # stored value from which a cell has the second label
        fits = len(shape) == 4 and shape[0] == 1 and shape[3] == (1 if role == "mask" else labels)
        if role != "mask" and len(shape) == 4 and shape[3] == 1 and labels == 2:
            self._least, fits = raw.lowest(tensor, 0.5 if role == "score" else 0.0), True
        if not fits:
            want = "[1, h, w]" if role == "mask" else f"[1, h, w, {labels}]"
            raise ModelError(
                f"model output {tensor.name!r} ({role}) is {list(tensor.shape)}; {labels} labels want {want}"
            )
        self._shape, self._is_mask, self._labels = shape[1:], role == "mask", labels

    def mask(self, outputs: Sequence[Array]) -> Array:
        """(h, w) int32, indices into the card's labels; the grid covers the model's input."""
        values = outputs[self._index].reshape(self._shape)
        if self._is_mask:
            return np.clip(values[..., 0], 0, self._labels - 1).astype(np.int32)
        if self._least is not None:
            second: Array = values[..., 0] >= self._least
            return second.astype(np.int32)
        return np.asarray(np.argmax(values, axis=2), np.int32)
