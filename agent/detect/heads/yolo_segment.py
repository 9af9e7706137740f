"""YOLO instance segmentation (v8, v9, 11), cut before its decoding: boxes as in yolo.py, and what their masks are of.

    per stride s
    box           (1, H/s, W/s, 4·reg_max)   as in yolo.py
    logit         (1, H/s, W/s, C)
    coefficients  (1, H/s, W/s, M)           how much of each prototype the cell's object is

    prototypes    (1, H/4, W/4, M)           once: M pictures that every mask is mixed of
                  mask = sigmoid(prototypes · coefficients) > 0.5, that is a sum > 0, cut to its box

Source: Bolya et al., YOLACT, ICCV 2019, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.data import Array, Detections
from agent.detect import outputs as raw
from agent.detect.heads.yolo import Distances
from agent.modelfile import Card, ModelError, Tensor


class Head:
    """Decodes one model's boxes and the masks of those that are kept."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        self._prototypes = Prototypes(card, outputs)
        self._boxes = Distances(card, outputs, confidence, multi_label, {"coefficients": self._prototypes.count})

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates in px of the model's input."""
        found = self._boxes.candidates(outputs)
        return found.detections(self._boxes.xyxy(outputs, found.row))

    def instances(self, outputs: Sequence[Array]) -> tuple[Detections, Array]:
        """Candidates, and their coefficients (N, M) float32."""
        found = self._boxes.candidates(outputs)
        boxes = found.detections(self._boxes.xyxy(outputs, found.row))
        return boxes, self._boxes.grids.gather(outputs, "coefficients", found.row)[found.order]

    def masks(self, outputs: Sequence[Array], xyxy: Array, coefficients: Array) -> Array:
        """(K, h, w) bool of boxes (K, 4) px of the model's input, at the prototypes' size; nothing outside its box."""
        return self._prototypes.masks(outputs, xyxy, coefficients)


class Prototypes:
    """The pictures that masks are mixed of: an output (1, h, w, M), or (1, M, h, w) where the input is NCHW."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None:
        """Raises ModelError: not there, or not of that shape."""
        self._index = raw.find(card, outputs, "prototypes")
        self._tensor = outputs[self._index]
        shape = self._tensor.shape
        if len(shape) != 4 or shape[0] != 1:
            raise ModelError(f"model output {self._tensor.name!r} (prototypes) is {list(shape)}, not [1, h, w, M]")
        self._planes = card.input.layout == "NCHW" and shape[2] * card.input.size[0] == shape[3] * card.input.size[1]
        self.count = shape[1] if self._planes else shape[3]
        self._size = card.input.size

    def masks(self, outputs: Sequence[Array], xyxy: Array, coefficients: Array) -> Array:
        """(K, h, w) bool of boxes (K, 4) px of the model's input and their coefficients (K, M)."""
        stored = outputs[self._index][0]
        pictures = np.moveaxis(stored, 0, 2) if self._planes else stored
        high, wide = pictures.shape[:2]
        scale = np.array([wide / self._size[0], high / self._size[1]] * 2, np.float32)
        masks = np.zeros((len(xyxy), high, wide), np.bool_)
        for mask, box, weights in zip(masks, xyxy * scale, coefficients, strict=True):
            left, top = np.clip(np.ceil(box[:2]), 0, (wide, high)).astype(int).tolist()  # a cell is in where its
            right, bottom = np.clip(np.ceil(box[2:]), 0, (wide, high)).astype(int).tolist()  # index is in the box
            inside = raw.dequantise(pictures[top:bottom, left:right], self._tensor)
            mask[top:bottom, left:right] = inside @ weights > 0
        return masks
