"""How much of it is that? The mask of a place or a track's box -> the share of one label, its area and its outline.

[second.leaf]
kind = "segment"
file = "leaf.tflite"            # a segmenter: task "segment"
region = [0.2, 0.1, 0.8, 0.9]
of = "brown"                    # the label that is measured
per_second = 0.1
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from msgspec import Meta, Struct

from agent.data import Array, Reading
from agent.detect.secondary import Eye, Where
from agent.detect.secondary.network import Network
from agent.modelfile import ModelError

_CORNERS = 32  # of an outline, at most


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[second.NAME], kind "segment"."""

    file: Path  # a segmenter: task "segment"
    of: str | None = None  # the label that is measured; None: the last
    step: Annotated[float, Meta(gt=0, le=1)] = 0.05  # a share that has changed by so much is told as an event


def create(options: Options, where: Where) -> Eye:
    """Raises ModelError: no segmenter, or one that does not know the label."""
    del where
    return _Segment(options)


class _Segment:
    def __init__(self, options: Options) -> None:
        self._network, self.step = Network(options.file), options.step
        self._head = self._network.model.segmenter()
        labels, self.side = self._network.model.card.labels, self._network.side
        if options.of is not None and options.of not in labels:
            raise ModelError(f"model {options.file}: has no label {options.of!r}; there are: {', '.join(labels)}")
        self._measured = labels.index(options.of) if options.of else len(labels) - 1
        self.about = f"{self._network.model.name}, share of {labels[self._measured]!r}"

    def look(self, picture: Array, scale: float) -> dict[str, Any]:
        """The share of the picture, the area in px² of the frame, how many pieces, and the largest one's outline."""
        outputs, placement = self._network.run(picture)
        mask = self._head.mask(outputs)
        cells = placement.cells(mask.shape, picture.shape, self._network.model.card.input.size)
        covered = np.ascontiguousarray(mask[cells] == self._measured, np.uint8)
        share = float(covered.mean())
        area = share * picture.shape[0] * picture.shape[1] / scale**2
        pieces, _ = cv2.findContours(covered, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        return {"share": share, "area_px": area, "pieces": len(pieces), "outline": outline(pieces, covered.shape)}

    def sum_up(self, t: float, looks: Sequence[tuple[float, Any]]) -> Reading:
        """The median look by share."""
        falling = sorted((said for _, said in looks), key=lambda said: float(said["share"]))
        middle = dict(falling[len(falling) // 2])
        return Reading(t, middle.pop("share"), 1.0, len(looks), middle)


def outline(pieces: Sequence[Array], shape: tuple[int, ...]) -> list[list[float]]:
    """Contours in cells of a grid (h, w) -> at most 32 corners of the largest, xy in 0..1 of the grid."""
    if not pieces:
        return []
    largest = max(pieces, key=cv2.contourArea)
    tolerance, corners = 0.5, largest
    while len(corners) > _CORNERS:
        corners, tolerance = cv2.approxPolyDP(largest, tolerance, True), 1.5 * tolerance
    told: list[list[float]] = ((corners.reshape(-1, 2) + 0.5) / (shape[1], shape[0])).round(4).tolist()
    return told
