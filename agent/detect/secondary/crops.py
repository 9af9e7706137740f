"""A box cut out of a frame, and how much it can tell: sharp and large is better.

sharpness  variance of the Laplacian over the variance of the picture (Pech-Pacheco et al., ICPR 2000, made independent
           of contrast), of the crop at the size that the model gets: blur that its input would hide does not count
quality    sharpness × longer side, up to that of the model's input; a third of it for a box that the frame's edge cuts
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from agent.data import Array

_GROWN = 0.08  # of a box's sides, added on each: a detector's boxes are a little tight at times
_EDGE_PX = 2.0
_CUT = 1 / 3  # what a box at the frame's edge is worth
_NOISE = 25.0  # grey levels²: a crop without any contrast is not sharp
_UPPER = 3.0  # a head is in the upper third of somebody upright


def around(xyxy: Array, size: tuple[int, int], part: str) -> tuple[int, int, int, int] | None:
    """xyxy px of a track's box in a frame of `size` -> the crop, a little larger; None: outside the frame."""
    x1, y1, x2, y2 = (float(v) for v in xyxy)
    if part == "upper":
        y2 = y1 + (y2 - y1) / _UPPER
    more = _GROWN * (x2 - x1), _GROWN * (y2 - y1)
    left, top = max(0, math.floor(x1 - more[0])), max(0, math.floor(y1 - more[1]))
    right, bottom = min(size[0], math.ceil(x2 + more[0])), min(size[1], math.ceil(y2 + more[1]))
    return (left, top, right, bottom) if left < right and top < bottom else None


def cut(region: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A region 0..1 in px of a picture of `size`; at least one pixel."""
    (x1, y1, x2, y2), (width, height) = region, size
    left, top = min(int(x1 * width), width - 1), min(int(y1 * height), height - 1)
    return left, top, max(left + 1, round(x2 * width)), max(top + 1, round(y2 * height))


def taken(image: Array, crop: tuple[int, int, int, int], side: int) -> tuple[Array, float]:
    """A copy of a crop, scaled down until its longer side is `side` px at most, and its px a px of the frame."""
    left, top, right, bottom = crop
    place = image[top:bottom, left:right]
    scale = min(1.0, side / max(place.shape[:2]))
    if scale == 1.0:
        return place.copy(), 1.0
    size = max(1, round(place.shape[1] * scale)), max(1, round(place.shape[0] * scale))
    return cv2.resize(place, size, interpolation=cv2.INTER_AREA), scale


def sharpness(picture: Array) -> float:
    """(H, W, 3) uint8 RGB -> 0 for one colour, rising; about 1 for a clear photograph."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    spread = float(cv2.meanStdDev(grey)[1][0, 0]) ** 2
    edges = float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))[1][0, 0]) ** 2
    return edges / (spread + _NOISE)


def quality(picture: Array, scale: float, xyxy: Array, size: tuple[int, int], side: int) -> float:
    """How much a crop that was `taken` of the box in a frame of `size` can tell."""
    is_cut = bool(np.any(xyxy[:2] < _EDGE_PX) or np.any(xyxy[2:] > np.array(size) - _EDGE_PX))
    large = min(1.0, max(picture.shape[:2]) / scale / side)
    return float(sharpness(picture) * large * (_CUT if is_cut else 1.0))
