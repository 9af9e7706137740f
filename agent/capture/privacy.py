"""What a camera's privacy masks hide, painted over before anybody sees the frame.

    camera ──frame──▶ paint ──▶ mailbox ──▶ everything else: motion, models, baselines, clients, snapshots

In the capture's own thread, in the frame's own memory: nothing is copied, and no picture of what is hidden is left.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Self

import cv2
import numpy as np

from agent.areas import Point
from agent.data import Array, Frame

_EDGE_PX = 3
_SIZES = 2  # of pictures that are remembered: a frame has two at most
Masks = tuple[Sequence[Point], ...]  # polygons, 0..1 of the picture


class Cover:
    """One camera's. `with` it nobody changes what is hidden: not between painting a frame and handing it over."""

    def __init__(self, masks: Masks = ()) -> None:
        self.masks = masks
        self._corners: dict[tuple[int, int], list[Array]] = {}  # size of a picture -> (P, 2) int32 px of each mask
        self._changing = threading.Lock()

    def __enter__(self) -> Self:
        self._changing.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._changing.release()

    def hide(self, masks: Masks) -> None:
        """These, in every frame that is painted from now on."""
        self.masks, self._corners = masks, {}

    def paint(self, frame: Frame) -> None:
        """Black in place, in both pictures of it, and a px beyond each edge. 0.1 ms at 1280x720 (a quarter of it)."""
        for image in (frame.image, frame.small) if self.masks else ():
            if image is None:
                continue
            for corners in self._in_px((image.shape[1], image.shape[0])):
                cv2.fillPoly(image, [corners], (0, 0, 0))  # one by one: where two in one call overlap is outside
                cv2.polylines(image, [corners], True, (0, 0, 0), _EDGE_PX)

    def _in_px(self, size: tuple[int, int]) -> list[Array]:
        if size not in self._corners:
            if len(self._corners) >= _SIZES:
                self._corners.clear()
            self._corners[size] = [np.rint(np.array(mask) * size).astype(np.int32) for mask in self.masks]
        return self._corners[size]
