"""A head is a file here: it reads one family's raw output tensors. The card's `head` names it.

`Head(card, outputs, ...)` checks once that the outputs are what the family has, and raises ModelError where they are
not; reading cannot fail on a frame. It gets the arrays as the interpreter has them, still quantised (or float32), in
the order of the `outputs` given. Arrays in the answer are its own: the interpreter may overwrite its memory.

    boxes         ssd, ssd_postprocess, yolo, yolox, centernet,   decode(outputs)     Detections
                  ultralytics
     + keypoints  pose, ultralytics                               poses(outputs)      Detections, (N, K, 3)
     + masks      yolo_segment, ultralytics                       instances(outputs)  Detections, coefficients (N, M)
                                                                  masks(outputs, ...) (K, h, w) bool of those kept
    classify      one confidence a label                          scores(outputs)     (C,) float32, 0..1
    segment       one label a cell                                mask(outputs)       (h, w) int32
    embed         one vector a picture                            vector(outputs)     (D,) float32, length 1
    reconstruct   one picture a picture                           image(outputs)      (h, w, 3 or 1) float32
    patches       one vector a cell of a grid                     patches(outputs)    (h, w, C) float32

Boxes: every candidate of at least `confidence`, in px of the model's input, not clipped, best label per candidate (all
of them with `multi_label`, for measuring mAP), rows by falling confidence, at most LIMIT, and without non-maximum
suppression: crops are merged first. `class_id` is an index into the card's labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.data import Array, Detections
from agent.modelfile import Card, Tensor

LIMIT = 300  # candidates a crop: NMS is quadratic, and no scene that an edge device can follow has more


class Head(Protocol):
    """What a head's module has, under this name, where its family finds boxes."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        """Raises ModelError: an output that is missing, or of a shape that this family does not have."""

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates of one crop, in px of the model's input."""
        ...


class PoseHead(Head, Protocol):
    """Boxes with keypoints."""

    def poses(self, outputs: Sequence[Array]) -> tuple[Detections, Array]:
        """Candidates, and theirs (N, K, 3) float32: x, y in px of the model's input, visibility 0..1."""
        ...


class InstanceHead(Head, Protocol):
    """Boxes with masks, which are drawn only for those that suppression has left."""

    def instances(self, outputs: Sequence[Array]) -> tuple[Detections, Array]:
        """Candidates, and theirs (N, M) float32: how much of each prototype their mask has."""
        ...

    def masks(self, outputs: Sequence[Array], xyxy: Array, coefficients: Array) -> Array:
        """(K, h, w) bool of boxes (K, 4) px and (K, M), at the prototypes' size; nothing outside its box."""
        ...


class Classifier(Protocol):
    """What `Head` has where a picture as a whole is told."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None: ...

    def scores(self, outputs: Sequence[Array]) -> Array:
        """(C,) float32 in 0..1, one a label of the card."""
        ...


class Segmenter(Protocol):
    """What `Head` has where every cell of a picture has a label."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None: ...

    def mask(self, outputs: Sequence[Array]) -> Array:
        """(h, w) int32, indices into the card's labels; the grid covers the model's input."""
        ...


class Embedder(Protocol):
    """What `Head` has where a picture becomes a point to compare."""

    mirror: bool  # a picture and its mirror image are one thing: their mean is its vector

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None: ...

    def vector(self, outputs: Sequence[Array]) -> Array:
        """(D,) float32 of length 1, or all 0; the scalar product of two is their cosine."""
        ...


class Reconstructor(Protocol):
    """What `Head` has where a picture is drawn again: an autoencoder."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None: ...

    def image(self, outputs: Sequence[Array]) -> Array:
        """(h, w, 3 or 1) float32, real values in the range of the card's input."""
        ...


class Patcher(Protocol):
    """What `Head` has where every cell of a grid is described."""

    grid: tuple[int, int]  # rows, columns
    channels: int

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None: ...

    def patches(self, outputs: Sequence[Array]) -> Array:
        """(h, w, C) float32; the grid covers the model's input."""
        ...
