"""One small picture of each frame, for all kinds of a camera that look at pictures: made when the first of them asks.

    frame ──▶ small, 180 rows ──▶ grey
               │                   ├──▶ edges (sight)
               └──▶ colours (still)└──▶ optical flow (flow)

All who look do so twice a second, mostly at the same frames: those are scaled down once.
"""

from __future__ import annotations

import cv2
import numpy as np

from agent.data import Array, Frame

ROWS = 180  # at most; from 360 or 720 of them that is fast, and each px is made from four


class Glance:
    """One camera's. All calls come from one thread."""

    def __init__(self) -> None:
        self._of: tuple[int, float] | None = None  # seq and t of the frame that was looked at last
        self._small = np.empty((0, 0, 3), np.uint8)
        self._grey: Array | None = None

    def small(self, frame: Frame) -> Array:
        """(h, w, 3) uint8 RGB, h = ROWS or what the frame has; nobody writes to it."""
        if self._of != (frame.seq, frame.t):
            width, height = frame.size
            rows = min(ROWS, height)
            size = max(1, round(width * rows / height)), rows
            self._small = cv2.resize(frame.image, size, interpolation=cv2.INTER_LINEAR)
            self._of, self._grey = (frame.seq, frame.t), None
        return self._small

    def grey(self, frame: Frame) -> Array:
        """(h, w) uint8: the same in grey levels; nobody writes to it."""
        small = self.small(frame)
        if self._grey is None:
            self._grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        return self._grey
