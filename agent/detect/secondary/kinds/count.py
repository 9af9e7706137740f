"""How many lie there? Cells, seeds, screws on an even ground, counted without a network.

    [second.seeds]
    kind = "count"
    region = [0.1, 0.1, 0.9, 0.9]
    per_second = 0.2

    grey ──▶ threshold (Otsu) ──▶ opened ──▶ distance to the ground ──▶ one seed a hill ──▶ watershed

Those that touch are told apart where their outline has a waist (watershed on the distance transform: Vincent & Soille,
1991). Pieces that are too small or too large do not count. A place's count is the median of its last looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from msgspec import Meta, Struct

from agent.data import Array, Reading
from agent.detect.secondary import Eye, Where

_SIDE = 1024  # px
_HILL = 0.1  # of a piece's largest distance: a hill that rises less above the saddle is part of its neighbour
_LEAST_RISE = 0.5  # px, at any rate
_STEP = 0.01  # px of distance that is none


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[second.NAME], kind "count"."""

    objects: Literal["auto", "dark", "light"] = "auto"  # beside the ground; auto: the ground is what the border shows
    contrast: Annotated[float, Meta(ge=1, le=255)] = 20.0  # grey levels between objects and ground; less is nothing
    least_area: Annotated[float, Meta(ge=1)] = 30.0  # px² of the frame; smaller pieces do not count
    most_area: Annotated[float, Meta(gt=0)] | None = None  # px² of the frame; larger ones do not; None: any size
    split: bool = True  # those that touch
    step: Annotated[float, Meta(gt=0)] = 1.0  # a count that has changed by so many is told as an event


def create(options: Options, where: Where) -> Eye:
    """Needs no file."""
    del where
    return _Count(options)


class _Count:
    side = _SIDE

    def __init__(self, options: Options) -> None:
        self._options, self.step = options, options.step
        self.about = "no network"

    def look(self, picture: Array, scale: float) -> list[float]:
        """The area of each object in px² of the frame."""
        apart = separated(picture, self._options)
        areas = np.bincount(apart.reshape(-1))[1:] / scale**2
        most = self._options.most_area or float("inf")
        return [float(one) for one in areas if self._options.least_area <= one <= most]

    def sum_up(self, t: float, looks: Sequence[tuple[float, Any]]) -> Reading:
        """The median look by number."""
        rising = sorted((areas for _, areas in looks), key=len)
        middle = rising[len(rising) // 2]
        alike = sum(len(areas) == len(middle) for areas in rising) / len(rising)
        typical = float(np.median(middle)) if middle else None
        return Reading(t, float(len(middle)), alike, len(looks), {"area_px": typical})


def separated(picture: Array, options: Options) -> Array:
    """(H, W, 3) uint8 RGB -> (H, W) int32: 0 the ground, else the number of the object."""
    grey = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 3)
    level, mask = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light = mask > 0
    means = [float(grey[side].mean()) if side.any() else level for side in (light, ~light)]
    if means[0] - means[1] < options.contrast:
        return np.zeros(grey.shape, np.int32)
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    are_light = options.objects == "light" or (options.objects == "auto" and border.mean() < 0.5)
    objects = np.asarray(light if are_light else ~light, np.uint8)
    objects = cv2.morphologyEx(objects, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    pieces = np.asarray(cv2.connectedComponents(objects, connectivity=4)[1], np.int32)
    return _split(objects, pieces) if options.split else pieces


def _split(objects: Array, pieces: Array) -> Array:
    """Pieces -> objects: each hill of the distance to the ground becomes one of its own."""
    far = cv2.distanceTransform(objects, cv2.DIST_L2, 5)
    far = np.asarray(cv2.GaussianBlur(far, (0, 0), 1.0)) * objects
    highest = np.zeros(int(pieces.max()) + 1, np.float32)
    np.maximum.at(highest, pieces.reshape(-1), far.reshape(-1))
    summits = _summits(far, np.maximum(_LEAST_RISE, _HILL * highest[pieces]))
    _, seeds = cv2.connectedComponents(summits, connectivity=8)
    markers = np.asarray(seeds, np.int32) + 1  # 1: the ground
    markers[(objects > 0) & (seeds == 0)] = 0  # to be divided
    # OpenCV floods by differences of neighbours, not by height: inside all seeds grow at one pace and meet half-way,
    # and the ground comes over its bank last, when nothing is left to take
    bank = cv2.merge([np.where(objects > 0, 0, 255).astype(np.uint8)] * 3)
    divided = cv2.watershed(bank, markers)
    found = np.where((divided > 1) & (objects > 0), divided - 1, 0).astype(np.float32)
    rim = cv2.dilate(found, np.ones((3, 3), np.uint8)) * objects  # watershed leaves a line around each
    return np.asarray(np.where(found > 0, found, rim), np.int32)


def _summits(far: Array, rise: Array) -> Array:
    """(H, W) uint8: the tops of hills that rise by `rise` above the saddle to a higher one (extended maxima)."""
    levelled = _rebuilt(far - rise, far)
    tops = levelled - _rebuilt(levelled - _STEP, levelled)
    return np.asarray((tops > _STEP / 2) & (far > 0), np.uint8)


def _rebuilt(below: Array, above: Array) -> Array:
    """Morphological reconstruction by dilation: `below` grows under `above` until nothing changes."""
    kernel, grown = np.ones((3, 3), np.uint8), np.maximum(below, 0).astype(np.float32)  # the ground has not to grow
    while True:
        before, grown = grown, np.minimum(cv2.dilate(grown, kernel), above)
        if np.array_equal(before, grown):
            return np.asarray(grown)
