"""What moves: a luma picture of some hundred rows against its own running average.

    frame ──► luma (h, w), ~100 rows ──► median ratio to the average: the light changed   ─► average · ratio
                                     ──► |difference| > threshold: cells that differ      ─► boxes of the clusters
                                     ──► many differ: fit difference = u · d/dx + v · d/dy ─► the camera moved
                                     ──► most still differ: another view                  ─► learn it anew

The threshold of a cell is the larger of a floor that follows the picture's contrast and a multiple of the cell's own
mean deviation, so that noise, leaves and a dim night need no other settings. All state has a fixed size. Times are
seconds: the average forgets by exp(-dt / τ), where something moves three times as slowly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from agent.data import Array

Polygon = Sequence[tuple[float, float]]  # corners (x, y), 0..1 of the frame

ROWS = 100  # of the luma picture; a person 25 px high in a 576 px frame is 4 of them
LIMIT = 32  # boxes a frame; the largest stay
_TAU_S = 8.0  # the average forgets what lies further back
_SLOWER = 3.0  # times, for cells that differ: what stops for a moment does not become background
_DEVIATIONS = 6.0  # of a cell's mean deviation are still noise
_PLAIN_CONTRAST = 40.0  # grey levels, standard deviation of a picture that the floor is meant for
_LIGHT_STEP = 0.06  # relative change of the median from one frame to the next that is no drift
_RATIO_STEP = 0.002  # less than one grey level of a bright picture
_MANY = 0.02  # share of cells from which on the camera may have moved
_SUDDEN = 1.5  # times the usual share: a crowd grows slowly
_MOST = 0.5  # share of cells from which on nothing explains it but another view
_SHAKE_CELLS = 0.08  # shift in cells that is no rounding
_EXPLAINED = 0.75  # share of the differing cells that may remain when a shift explains them
_SLACK_CELLS = 0.5  # how far an edge may lie from where the fitted shift puts it
_CLOSE = 8.0  # grey levels: always near enough to take part in the fit
_FEW = 4  # clusters that may remain of a shaken or newly lit picture and be movement
_LIMIT_S = 0.5  # the thresholds of the cells are set anew so often
_YOUNG_S = 2.0  # and on every frame of a view so young
_STUCK_S = 3.0  # a shift that stays this long is where the camera now looks

Kind = Literal["learning", "still", "moving", "light", "shake", "view"]


@dataclass(frozen=True, slots=True, eq=False)
class Movement:
    """What moved in one frame."""

    kind: Kind
    xyxy: Array  # (N, 4) float32 px of the frame, one box a cluster, largest first; N <= LIMIT


class Motion:
    """One camera's background."""

    def __init__(self, size: tuple[int, int], masks: Sequence[Polygon] = (), threshold: float = 10.0) -> None:
        """`size` (width, height) px of the frames; nothing moves in `masks`; `threshold` in grey levels of 255."""
        width, height = size
        rows = min(ROWS, height)
        columns = max(1, min(width, round(width * rows / height)))
        self.size = size
        self.rgb = np.empty((rows, columns, 3), np.uint8)
        self.luma = np.empty((rows, columns), np.uint8)  # of the last frame
        self._scale = np.array([width / columns, height / rows] * 2, np.float32)  # px per cell
        self._floor = threshold
        shape = (rows, columns)
        self._average, self._deviation = np.zeros(shape, np.float32), np.zeros(shape, np.float32)  # grey levels
        self._difference, self._distance = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._limit, self._mask = np.empty(shape, np.float32), np.zeros(shape, np.uint8)
        self._calm = np.empty(shape, np.uint8)
        self._samples = np.empty((2, -(-rows // 4), -(-columns // 4)), np.float32)  # every fourth cell: now, before
        self._allowed = _allowed(masks, shape)
        self._shift = _Shift(shape)
        self._usual = 0.0  # share of cells that moved in the last second
        self._begin = self._last = self._steady = -math.inf  # s: first frame of this view, last frame, last unshaken
        self._limit_t = -math.inf  # s: when the thresholds were last set

    def update(self, image: Array, t: float) -> Movement:
        """Compare a frame (H, W, 3) uint8 RGB of time `t`, of any size, with what was there before; learn from it."""
        cv2.resize(image, self.luma.shape[::-1], dst=self.rgb, interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY, dst=self.luma)
        cv2.blur(self.luma, (3, 3), dst=self.luma)
        if self._begin == -math.inf:
            return self._relearn(t, "learning")
        ratio = self._follow_light()
        share = self._compare(t)
        kind: Kind = "moving" if share else "still"
        sudden = share > max(_MANY, _SUDDEN * self._usual)
        if sudden and self._shift.explains(self._difference, self._average, self._limit, self._mask):
            kind, share = "shake", self._share()
        if share > _MOST or (kind == "shake" and t - self._steady > _STUCK_S):
            return self._relearn(t, "view")
        if kind != "shake":
            self._steady = t
            self._usual += (share - self._usual) * min(1.0, t - self._last)
        cv2.dilate(self._mask, None, dst=self._mask)
        if abs(ratio - 1) > _LIGHT_STEP:
            kind = "light"
            np.copyto(self._average, self.luma, where=self._distance > self._limit / 2)  # too bright or dark to follow
        self._learn(t)
        xyxy = self._boxes() if share else _no_boxes()
        upheaval = kind in ("light", "shake") and len(xyxy) > _FEW  # what remains of it is not movement
        return Movement(kind, _no_boxes() if upheaval else xyxy)

    def _relearn(self, t: float, kind: Kind) -> Movement:
        self._average[...] = self.luma
        self._deviation[...] = 1.0
        self._mask[...] = 0
        self._begin = self._last = self._steady = t
        return Movement(kind, _no_boxes())

    def _follow_light(self) -> float:
        """Scale the average to the light of now, by the median: whatever covers less than half does not matter."""
        now, before = self._samples
        now[...], before[...] = self.luma[::4, ::4], self._average[::4, ::4]
        self._samples += np.float32(1)  # black has no ratio
        ratios = np.divide(now, before, out=now).reshape(-1)
        middle = ratios.size // 2
        ratios.partition(middle)
        ratio = min(10.0, max(0.1, float(ratios[middle])))
        if abs(ratio - 1) > _RATIO_STEP:
            self._average *= ratio
        return ratio

    def _compare(self, t: float) -> float:
        """Mark the cells that differ; their share of the picture."""
        cv2.subtract(self.luma, self._average, dst=self._difference, dtype=cv2.CV_32F)
        cv2.absdiff(self._difference, 0.0, dst=self._distance)
        if t - self._limit_t > _LIMIT_S or t - self._begin < _YOUNG_S:
            contrast = cv2.meanStdDev(self.luma)[1][0, 0]
            floor = self._floor * min(1.0, max(0.4, contrast / _PLAIN_CONTRAST))
            cv2.multiply(self._deviation, _DEVIATIONS, dst=self._limit)
            cv2.max(self._limit, floor, dst=self._limit)
            self._limit_t = t
        cv2.compare(self._distance, self._limit, cv2.CMP_GT, dst=self._mask)
        cv2.bitwise_and(self._mask, self._allowed, dst=self._mask)
        return self._share()

    def _share(self) -> float:
        return cv2.countNonZero(self._mask) / self._mask.size

    def _learn(self, t: float) -> None:
        """Average and deviation move towards this frame; in the first seconds they are plain means."""
        dt = max(0.0, t - self._last)
        self._last = t
        calm = 1 - math.exp(-dt / _TAU_S)
        young = dt / max(t - self._begin + dt, 1e-9)
        cv2.bitwise_not(self._mask, dst=self._calm)
        cv2.min(self._distance, self._limit, dst=self._distance)
        rate = max(calm, young)
        cv2.accumulateWeighted(self.luma, self._average, rate, mask=self._calm)
        cv2.accumulateWeighted(self.luma, self._average, rate / _SLOWER, mask=self._mask)
        cv2.accumulateWeighted(self._distance, self._deviation, rate, mask=self._calm)
        cv2.accumulateWeighted(self._distance, self._deviation, rate / _SLOWER / 2, mask=self._mask)

    def _boxes(self) -> Array:
        contours = cv2.findContours(self._mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        xywh = np.array([cv2.boundingRect(c) for c in contours], np.float32).reshape(-1, 4)
        xywh = xywh[(xywh[:, 2] > 3) | (xywh[:, 3] > 3)]  # a single cell, dilated, is 3 x 3: a speck
        xywh = xywh[np.argsort(-xywh[:, 2] * xywh[:, 3], kind="stable")[:LIMIT]]
        xywh[:, 2:] += xywh[:, :2]
        return np.asarray(xywh * self._scale, np.float32)


class _Shift:
    """Whether a picture is its background moved by a few cells."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._rows = np.empty((3, *shape), np.float32)  # d/dx, d/dy of the average, difference to it
        self._weighted = np.empty((3, *shape), np.float32)
        self._picture, self._moved = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._rest, self._slack = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._differs = np.empty(shape, np.uint8)
        self._window = cv2.createHanningWindow(shape[::-1], cv2.CV_32F) if min(shape) > 1 else None

    def explains(self, difference: Array, average: Array, limit: Array, mask: Array) -> bool:
        """Fit a shift of the average to the difference; if it explains most of `mask`, only the rest stays in it.

        All (h, w), grey levels float32; `mask` uint8. The source is Lucas and Kanade, IJCAI 1981, over the whole
        picture, behind phase correlation for shifts of more than a cell.
        """
        if self._window is None:
            return False
        size, before, after = self._fit(difference, average, limit, mask)
        if after > _EXPLAINED * before:
            cv2.add(average, difference, dst=self._picture)
            self._moved[...] = average
            (x, y), _ = cv2.phaseCorrelate(self._moved, self._picture, self._window)  # spoils both
            cv2.add(average, difference, dst=self._picture)
            turn = np.array([[1, 0, round(x)], [0, 1, round(y)]], np.float32)
            cv2.warpAffine(average, turn, average.shape[::-1], dst=self._moved, borderMode=cv2.BORDER_REPLICATE)
            cv2.subtract(self._picture, self._moved, dst=self._picture)
            size, _, after = self._fit(self._picture, self._moved, limit, mask)
            size += math.hypot(round(x), round(y))
        if size < _SHAKE_CELLS or after > _EXPLAINED * before:
            return False
        cv2.bitwise_and(mask, self._differs, dst=mask)
        return True

    def _fit(self, difference: Array, average: Array, limit: Array, mask: Array) -> tuple[float, int, int]:
        """Fit a small shift; its length in cells, and how many cells of `mask` differ before and after it."""
        dx, dy, wanted = self._rows
        cv2.Sobel(average, cv2.CV_32F, 1, 0, dst=dx, scale=1 / 8)
        cv2.Sobel(average, cv2.CV_32F, 0, 1, dst=dy, scale=1 / 8)
        wanted[...] = difference
        np.abs(dx, out=self._slack)
        np.add(self._slack, np.abs(dy, out=self._rest), out=self._slack)
        self._slack *= _SLACK_CELLS
        np.add(self._slack, limit, out=self._slack)
        before = self._count(np.abs(wanted, out=self._rest), mask)
        moved = np.zeros(2)
        for _ in range(2):  # the second time without what the first one did not explain: that moves on its own
            close = np.less_equal(self._rest, max(_CLOSE, 2 * float(self._rest.mean())))
            np.multiply(self._rows, close, out=self._weighted)
            gram = self._weighted.reshape(3, -1) @ self._rows.reshape(3, -1).T
            moved = np.linalg.solve(gram[:2, :2] + np.eye(2), gram[:2, 2])  # + 1: a picture without edges
            np.multiply(dx, -moved[0], out=self._rest)
            self._rest -= moved[1] * dy
            self._rest += wanted
            np.abs(self._rest, out=self._rest)
        return math.hypot(*moved), before, self._count(self._rest, mask)

    def _count(self, rest: Array, mask: Array) -> int:
        """Cells of `mask` where `rest` is more than the edges there can make of rounding."""
        cv2.compare(rest, self._slack, cv2.CMP_GT, dst=self._differs)
        return cv2.countNonZero(cv2.bitwise_and(self._differs, mask))


def _allowed(masks: Sequence[Polygon], shape: tuple[int, int]) -> Array:
    """(h, w) uint8: 255 where movement counts."""
    allowed = np.full(shape, 255, np.uint8)
    for polygon in masks:
        cells = np.array(polygon, np.float64) * (shape[1], shape[0]) - 0.5
        cv2.fillPoly(allowed, [np.round(cells).astype(np.int32)], 0)
    return allowed


def _no_boxes() -> Array:
    return np.zeros((0, 4), np.float32)
