"""A head is a file here: it reads one family's raw output tensors. The card's `head` names it.

`Head(card, outputs, confidence)` checks once that the outputs are what the family has, and raises ModelError where
they are not; `decode` cannot fail on a frame. It gets the arrays as the interpreter has them, still quantised (or
float32), in the order of the `outputs` given, and answers with every candidate of at least `confidence`, in px of
the model's input, not clipped, best label per candidate (all of them with `multi_label`, for measuring mAP), rows by
falling confidence, at most LIMIT, and without non-maximum suppression: crops are merged first. `class_id` is an index
into the card's labels. Arrays in the answer are its own: the interpreter may overwrite its memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.data import Array, Detections
from agent.modelfile import Card, Tensor

LIMIT = 300  # candidates a crop: NMS is quadratic, and no scene that an edge device can follow has more


class Head(Protocol):
    """What a head's module has, under this name."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        """Raises ModelError: an output that is missing, or of a shape that this family does not have."""

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates of one crop, in px of the model's input."""
        ...
