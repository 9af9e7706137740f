"""How fast what is in the picture moves at each place: optical flow between two frames, now and then.

    frame ─▶ small grey picture ──(a tenth of a second)── small grey picture ─▶ flow ─▶ (rows, columns) frame widths/s

No detector has a say in it: a cart, a skateboard or somebody half behind a tree moves all the same. Two frames are
compared every EVERY_S only, which is what a normal object needs to cross a cell, and costs a fraction of each frame.
The flow is that of Kroeger et al., Fast Optical Flow using Dense Inverse Search (ECCV 2016), as OpenCV has it. What the
whole picture does (a camera that trembles) is taken off; a place without change has no speed, whatever the flow says.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from agent.anomalies.parts.glance import Glance
from agent.anomalies.parts.middle import middle
from agent.data import Array, Frame

CELL = 5  # px of the small picture a cell is wide
_AREA = 36 * 24  # cells, about, whatever the shape
EVERY_S = 0.5
_APART_S = (0.06, 0.3)  # two frames that are compared: nearer ones show no way, farther ones nothing in common
_LEAST_CHANGE = 2.0  # grey levels over 5 x 5 px
_NOISE = 2.0  # times the median change, which is noise
_MOST = 0.5  # share of the picture that changes: it is the light or another view


class Flow:
    """One camera."""

    def __init__(self, size: tuple[int, int]) -> None:
        """`size` (width, height) px of the frames."""
        self.size = size
        ratio = size[0] / size[1]
        rows = max(4, round(math.sqrt(_AREA / ratio)))
        self.grid = rows, max(4, round(_AREA / rows))
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._flow.setFinestScale(1)
        self._flow.setPatchStride(6)
        self._first: tuple[float, Array] | None = None  # s, small grey picture: waits for its second
        self._due = -math.inf  # s

    def look(self, frame: Frame, glance: Glance) -> Array | None:
        """-> (rows, columns) float32 widths/s; None: it was not compared."""
        t = frame.t
        if self._first is None:
            if t < self._due <= t + EVERY_S:
                return None
            self._first = t, self._shrunk(glance.grey(frame))
            return None
        since, before = self._first
        if 0 < t - since < _APART_S[0]:
            return None
        now = self._shrunk(glance.grey(frame))
        if not 0 < t - since <= _APART_S[1]:
            self._first = t, now
            return None
        self._first, self._due = None, since + EVERY_S
        return self._speeds(before, now, t - since)

    def _shrunk(self, grey: Array) -> Array:
        """(h, w) uint8 -> CELL px a cell, each from several of the frame: that has little noise."""
        rows, columns = (CELL * n for n in self.grid)
        return np.asarray(cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_LINEAR))

    def _speeds(self, before: Array, now: Array, passed: float) -> Array | None:
        change = cv2.blur(cv2.absdiff(before, now), (5, 5))
        limit = max(_LEAST_CHANGE, _NOISE * middle(change[::4, ::4]))
        moving = cv2.compare(change, limit, cv2.CMP_GT)
        many = cv2.countNonZero(moving)
        if many > _MOST * moving.size:
            return None
        if not many:
            return np.zeros(self.grid, np.float32)
        way = self._flow.calc(before, now, None)  # (h, w, 2) px
        x, y = cv2.split(cv2.resize(cv2.copyTo(way, moving), self.grid[::-1], interpolation=cv2.INTER_AREA))
        share = cv2.resize(moving, self.grid[::-1], interpolation=cv2.INTER_AREA) / np.float32(255)  # of each cell
        x, y = (of - np.float32(middle(way[::4, ::4, k])) * share for k, of in enumerate((x, y)))
        return np.asarray(cv2.magnitude(x, y) / (now.shape[1] * passed))
