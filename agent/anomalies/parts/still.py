"""What stands still in the picture and was not there before: a small picture against two memories of it.

                       fast memory (1 s)      slow memory (a minute, and only of what is calm)
    road               same                   same           nothing
    somebody walks     differs                differs        moving
    a bag, put down    same                   differs        still: since when, is kept for each cell

Two backgrounds of different speed find what stopped (Porikli, Ivanov and Haga, Robust abandoned object detection using
dual foregrounds, EURASIP JASP 2008). Cells that are covered by people say nothing and forget nothing: what is behind
somebody who stops is still there when he goes on. Where the outline of a blob has its edges tells what came from what
went: a thing that was left has them in the picture, a thing that was taken had them in the slow memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from agent.anomalies.parts.middle import middle
from agent.data import Array

ROWS = 96  # of the small picture; a bag 40 px high in a 480 px frame is 8 of them
_FAST_S = 1.0
_SLOW_S = 60.0
_LEARN_S = 1.0  # calm for this long, a cell is known
_NOISE_S = 10.0
_FLOOR = 18.0  # grey levels, the strongest of three colours
_DEVIATIONS = 5.0
_ABSORB_S = 900.0  # what stood still for so long belongs to the scene
_MOST = 0.4  # share of changed cells from which on it is the light or the view, and all is learned anew
_DARK = 8.0  # grey levels: darker cells say nothing about the light
_RATIO_STEP, _SWITCHED = 0.002, 0.25  # relative changes of the light: less is none; more was a switch, no drift
_GAP_S = 5.0  # without a picture for this long nothing is known of what moved meanwhile
_BLOBS = 16
_NEVER = math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """Something that stands still."""

    xyxy: tuple[float, float, float, float]  # 0..1 of the picture
    size: tuple[int, int]  # cells: width, height
    since: float  # s: from when on most of it stood still
    cells: Array  # (K,) int, indices into the flattened small picture


class Still:
    """One camera's two memories; all state has the size of the small picture."""

    def __init__(self, size: tuple[int, int]) -> None:
        """`size`: (width, height) px of the frames."""
        self.size = size
        self.rows = min(ROWS, size[1])
        self.columns = max(1, min(size[0], round(size[0] * self.rows / size[1])))
        self._restart()

    def _restart(self) -> None:
        shape = (self.rows, self.columns)
        self._last = -math.inf  # s
        self._fast = self._slow = np.zeros((3, *shape), np.float32)  # grey levels of red, green, blue
        self._noise = np.full(shape, 3.0, np.float32)  # grey levels: mean difference from the fast memory
        self._calm = np.zeros(shape, np.float32)  # s without movement
        self._gap = np.zeros((3, *shape), np.float32)  # grey levels, for use within one look
        self._known = np.zeros(shape, np.bool_)
        self.since = np.full(shape, _NEVER)  # s: stands still and differs since then

    def look(self, image: Array, t: float, covered: Array) -> None:
        """A small picture (h, w, 3) of time t; `covered` (rows, columns) bool: people are there, as far as is known."""
        small = self._shrunk(image)
        dt = t - self._last
        light = self._light(small)
        if not 0 < dt <= _GAP_S or abs(light - 1) > _SWITCHED:
            self._begin(small, t)
            return
        self._last = t
        if abs(light - 1) > _RATIO_STEP:
            self._fast *= light
            self._slow *= light
        apart = self._apart(small, self._fast)
        limit = np.maximum(_FLOOR, _DEVIATIONS * self._noise)
        moving = apart > limit
        cv2.accumulateWeighted(small, self._fast, 1 - math.exp(-dt / _FAST_S))
        free = ~(moving | covered)
        self._calm = (self._calm + np.float32(dt)) * free
        self._noise += (apart - self._noise) * free * np.float32(1 - math.exp(-dt / _NOISE_S))
        differs = (self._apart(small, self._slow) > limit) & self._known
        if np.count_nonzero(differs) > _MOST * differs.size:
            self._begin(small, t)
            return
        self._learn(small, t, free, differs, dt)

    def _shrunk(self, image: Array) -> Array:
        """(h, w, 3) uint8 -> (3, rows, columns) float32 grey levels."""
        small = cv2.resize(image, (self.columns, self.rows), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(small.transpose(2, 0, 1), np.float32)

    def _apart(self, small: Array, memory: Array) -> Array:
        """The largest difference of the three colours, (rows, columns) grey levels."""
        red, green, blue = cv2.absdiff(small, memory, dst=self._gap)
        return np.asarray(np.maximum(np.maximum(red, green), blue))

    def _begin(self, small: Array, t: float) -> None:
        """Nothing of what was seen before helps to understand this."""
        self._restart()
        self._fast, self._slow, self._last = small, small.copy(), t

    def _light(self, small: Array) -> float:
        """How much brighter it is than a moment ago: the median ratio of some cells. Both memories follow its drift."""
        now, before = small[1, ::4, ::4], self._fast[1, ::4, ::4]
        usable = before > _DARK
        return middle(now[usable] / before[usable]) if usable.any() else 1.0

    def _learn(self, small: Array, t: float, free: Array, differs: Array, dt: float) -> None:
        still, same = free & differs, free & ~differs
        np.copyto(self.since, t, where=still & (self.since == _NEVER))
        np.copyto(self.since, _NEVER, where=same)
        cv2.subtract(small, self._slow, dst=self._gap)
        self._gap *= same * np.float32(1 - math.exp(-dt / _SLOW_S))
        self._slow += self._gap
        known = self._known | (self._calm >= _LEARN_S)
        anew = (known & ~self._known) | (still & (self.since < t - _ABSORB_S))
        if anew.any():
            np.copyto(self._slow, self._fast, where=anew)
            np.copyto(self.since, _NEVER, where=anew)
        self._known = known

    def cells(self, xyxy: Array) -> list[tuple[slice, slice]]:
        """Boxes (N, 4) px -> what they cover of the small picture."""
        x, y = self.columns / self.size[0], self.rows / self.size[1]
        found = []
        for x1, y1, x2, y2 in (xyxy * np.array([x, y, x, y], np.float32)).tolist():
            across = slice(max(0, math.floor(x1)), max(0, math.ceil(x2)))
            found.append((slice(max(0, math.floor(y1)), max(0, math.ceil(y2))), across))
        return found

    def blobs(self, t: float, still_s: float, least: int) -> list[Blob]:
        """What stands still for at least `still_s` and has at least so many cells, the largest first."""
        stands = np.isfinite(self.since)
        if not (stands & (t - self.since >= still_s)).any():
            return []
        mask = cv2.morphologyEx(stands.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        count, label, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        found = []
        for one in (1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:_BLOBS]).tolist() if count > 1 else []:
            x, y, w, h, area = stats[one].tolist()
            if area < least:
                break
            part = (label[y : y + h, x : x + w] == one) & stands[y : y + h, x : x + w]
            since = float(np.median(self.since[y : y + h, x : x + w][part]))
            if t - since < still_s:
                continue
            where = np.flatnonzero(part)
            cells = (where // w + y) * self.columns + where % w + x
            box = (x / self.columns, y / self.rows, (x + w) / self.columns, (y + h) / self.rows)
            found.append(Blob(box, (w, h), since, cells))
        return found

    def there(self, cells: Array) -> float:
        """Share of these cells that still differ from the slow memory."""
        return float(np.isfinite(self.since.ravel()[cells]).mean())

    def forget(self, blob: Blob) -> None:
        """What is there or just beside it stands still since now, if it does."""
        x1, y1, x2, y2 = np.rint(np.array(blob.xyxy) * ([self.columns, self.rows] * 2)).astype(int).tolist()
        self.since[max(0, y1 - 3) : y2 + 3, max(0, x1 - 3) : x2 + 3] = _NEVER

    def came(self, blob: Blob) -> float:
        """How much stronger the edges along its outline are in the picture than in the slow memory.

        > 1: its outline is in the picture (it was left); < 1: it was there before (it was taken).
        """
        mask = np.zeros((self.rows, self.columns), np.uint8)
        mask.ravel()[blob.cells] = 1
        rim = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        strength = []
        for picture in (self._fast, self._slow):
            grey = picture.mean(axis=0)
            edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
            strength.append(float(edges[rim].mean()) if rim.any() else 0.0)
        return (strength[0] + 1.0) / (strength[1] + 1.0)
