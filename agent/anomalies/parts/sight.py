"""How well a camera sees: a small picture and a few patches at full size against what they are usually like here.

    picture ─► 160×90 grey ─► edges (gx, gy), 6×10 blocks ─► energy, and likeness to the usual edges, of each block
            └► 12 patches, full size ─► fine detail: focus;  what changes from one look to the next: noise, stillness

Likeness is the cosine between the edges now and the usual ones: a change of light scales both and leaves it alone. What
is usual is learned with a time constant of a minute, from looks that learn() is called for, and what differs much
counts for little: passers-by leave no trace. A block without edges of its own (sky, a wall) says nothing. Noise is the
median over the patches of Immerkær's estimate (Fast noise variance estimation, CVIU 64, 1996) on the difference of two
looks: blind to what moves in some, and to what stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from agent.anomalies.parts.middle import middle
from agent.data import Array

SIZE = (160, 90)  # width, height of the small picture, cells
_BLOCKS = (6, 10)  # rows, columns
_PATCHES = (3, 4)  # rows, columns
_SIDE = 32  # px of a patch
_TAU_S = 60.0
_WINDOW = cv2.createHanningWindow(SIZE, cv2.CV_32F)
_LEAST_LIGHT = 0.3  # with less light edges drown in rounding
_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkær's; its squares sum up to 36
_PLAIN, _FAINT = 0.1, 1.0  # of the mean usual energy; (grey levels a cell)²: with less a block has no edges of its own
_DARKEST = 4.0  # grey levels: below this nothing is told about the light
_BEGIN_S = 2.0  # until then everything counts in full
_STEP = 3.0  # grey levels (a cell): more than this from the usual counts as this
_FADES_S = 600.0  # how long the quietest moment is remembered


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One look."""

    luma: float  # mean grey level, 0..255
    light: float  # that ÷ usual
    bright: float  # 95th percentile of the grey levels
    clipped: float  # share of cells at the top of the range
    change: float  # mean difference of the patches from the last look, grey levels
    noise: float  # standard deviation of what changes everywhere and finely, grey levels
    like: Array  # (B,) -1..1: are the edges where they usually are, for each block that has some
    energy: Array  # (B,) of the edges ÷ usual, after allowing for the light, for each of these
    focus: float  # fine detail ÷ usual, after allowing for light and noise


@dataclass(slots=True, eq=False)
class _Look:
    edges: Array  # (2, 90, 160) float32 grey levels a cell
    energy: Array  # (6, 10) mean square of them
    detail: Array  # (12,) mean square of fine detail
    numbers: Array  # luma, clipped, change, noise


class Sight:
    """What one camera's picture is usually like."""

    def __init__(self) -> None:
        self.age = 0.0  # s that were learned
        self.quiet = math.inf  # grey levels: a change that only few looks stay below
        self._patches = self._fine = np.zeros(0, np.float32)  # of the last look, and their fine detail
        self._now = self._usual = _Look(
            *(np.zeros((2, *SIZE[::-1]), np.float32), np.zeros(_BLOCKS)),
            *(np.zeros(_PATCHES[0] * _PATCHES[1]), np.zeros(4)),
        )

    @property
    def usual(self) -> tuple[float, float, float, float]:
        """Usual mean grey level, share of clipped cells, change from look to look, and noise, grey levels."""
        luma, clipped, change, noise = self._usual.numbers.tolist()
        return luma, clipped, change, noise

    def look(self, image: Array, grey: Array) -> View:
        """(H, W, 3) uint8, and all of it small in grey levels -> how it compares. Learns nothing; learn() does."""
        now, bright = self._measured(image, grey)
        self._now, usual = now, self._usual
        luma, clipped, change, noise = now.numbers.tolist()
        light = max(luma, _DARKEST) / max(self.usual[0], _DARKEST)
        both, own = _product(now.edges, usual.edges), _product(usual.edges, usual.edges)
        has = own > max(_FAINT, _PLAIN * float(own.mean()))
        like = both / np.sqrt(np.maximum(now.energy * own, 1e-6))
        finer = min(4.0, max(1.0, image.shape[1] / SIZE[0]))  # px a cell, as far as they are looked at
        grain = 0.75 * (noise * noise / finer**2 + 1 / 12)  # what noise and rounding alone make of edges
        strength = np.maximum(now.energy - grain, 0) / np.maximum(own * min(max(light, _LEAST_LIGHT), 1.0) ** 2, 1e-6)
        fine = now.detail - 36 * noise * noise
        was = usual.detail - 36 * self.usual[3] ** 2
        shares = np.maximum(fine, 0) / np.maximum(was * light * light, 1e-6)
        sharp = was > max(1.0, middle(was) / 4, 36 * noise * noise)  # what noise drowns is not missed
        focus = math.sqrt(middle(shares[sharp])) if sharp.any() else 1.0
        return View(luma, light, bright, clipped, change, noise, like[has], strength[has], focus)

    def aside(self) -> tuple[float, float]:
        """By how much the last look has to be moved to be like the usual one, 0..1 of the width, and by how much more
        (0..1) it then is like it than where it is."""
        now, usual = (np.hypot(*look.edges) for look in (self._now, self._usual))
        (dx, dy), _ = cv2.phaseCorrelate(usual, now, _WINDOW)
        x, y = round(dx), round(dy)
        width, height = SIZE
        if abs(x) >= width // 2 or abs(y) >= height // 2:
            return 0.0, 0.0
        here, there = (slice(max(0, k), n + min(0, k)) for k, n in ((y, height), (x, width)))
        back = slice(max(0, -y), height + min(0, -y)), slice(max(0, -x), width + min(0, -x))
        better = _cosine(self._now.edges[:, here, there], self._usual.edges[:, *back])
        return math.hypot(x, y) / width, better - max(0.0, _cosine(self._now.edges, self._usual.edges))

    def learn(self, dt: float) -> None:
        """The last look was a usual one, `dt` s after the one before."""
        self.age += dt
        weight = max(min(1.0, dt / self.age), 1 - math.exp(-dt / _TAU_S)) if self.age > 0 else 1.0
        now, usual = self._now, self._usual
        change = float(now.numbers[2])
        self.quiet = min(change, self.quiet * (1 + dt / _FADES_S))
        if not math.isfinite(change):
            now.numbers[2] = usual.numbers[2]
        step = _STEP if self.age > _BEGIN_S else math.inf
        edges = now.edges - usual.edges
        np.clip(edges, -step, step, out=edges)
        edges *= weight
        edges += usual.edges
        small = zip((usual.energy, usual.detail, usual.numbers), (now.energy, now.detail, now.numbers), strict=True)
        self._usual = _Look(edges, *(was + (new - was) * weight for was, new in small))

    def _measured(self, image: Array, grey: Array) -> tuple[_Look, float]:
        grey = cv2.resize(grey, SIZE, interpolation=cv2.INTER_LINEAR)
        edges = np.empty((2, *grey.shape), np.float32)
        for k in (0, 1):
            cv2.Sobel(grey, cv2.CV_32F, 1 - k, k, dst=edges[k], scale=0.125)
        patches = _patches(image)
        fine = cv2.filter2D(patches, cv2.CV_32F, _MASK)
        (before, self._patches), (fine_before, self._fine) = (self._patches, patches), (self._fine, fine)
        noise, change = 0.0, math.inf
        if before.shape == patches.shape:
            noise = math.sqrt(middle(_squares(fine - fine_before)) / 72)
            change = cv2.norm(patches, before, cv2.NORM_L1) / patches.size
        histogram = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256])) / grey.size
        numbers = np.array([cv2.mean(grey)[0], 1 - histogram[249], change, noise])
        look = _Look(edges, _product(edges, edges), _squares(fine), numbers)
        return look, float(np.searchsorted(histogram, 0.95))


def _product(edges: Array, others: Array) -> Array:
    """(2, 90, 160) each -> (6, 10): the mean product in each block."""
    cells = edges[0] * others[0]
    cells += edges[1] * others[1]
    return np.asarray(cv2.resize(cells, _BLOCKS[::-1], interpolation=cv2.INTER_AREA), np.float64)


def _patches(image: Array) -> Array:
    """3×4 squares from all over the picture, side by side: (3 · side, 4 · side) float32 grey levels (green)."""
    side, cut = _cut(*image.shape[:2])
    made = np.empty((_PATCHES[0] * side, _PATCHES[1] * side), np.float32)
    for there, here in cut:
        made[there] = image[here]
    return made


@lru_cache(maxsize=8)
def _cut(height: int, width: int) -> tuple[int, list[tuple[Any, Any]]]:
    """Side of the squares, and where each goes to and comes from."""
    side = min(_SIDE, height // _PATCHES[0], width // _PATCHES[1])
    tops = (np.linspace(0.1, 0.9, _PATCHES[0]) * (height - side)).astype(int).tolist()
    lefts = (np.linspace(0.05, 0.95, _PATCHES[1]) * (width - side)).astype(int).tolist()
    cut = [
        (np.s_[a * side : (a + 1) * side, b * side : (b + 1) * side], np.s_[y : y + side, x : x + side, 1])
        for a, y in enumerate(tops)
        for b, x in enumerate(lefts)
    ]
    return side, cut


def _squares(fine: Array) -> Array:
    """Immerkær's mask over squares side by side -> (12,) the mean square in each, but for its border."""
    side = fine.shape[0] // _PATCHES[0]
    squares = fine * fine
    for border in (0, side - 1):
        squares[border::side] = squares[:, border::side] = 0
    mean = cv2.resize(squares, _PATCHES[::-1], interpolation=cv2.INTER_AREA).ravel()
    return np.asarray(mean * (side / (side - 2)) ** 2, np.float64)


def _cosine(a: Array, b: Array) -> float:
    length = math.sqrt(float((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / length if length > 1e-6 else 0.0
