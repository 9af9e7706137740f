"""Zones and lines as a config draws them on the picture, and what makes a drawing unusable.

Points are [x, y] in 0..1 of the picture: x to the right, y down. A line is walked from its first point to its
last; what crosses it from the walker's left hand to the right goes `in`, from right to left `out`:

                 ┆                                                      ● first
    first ●──────┼─────▶● last                                  in ◀┄┄┄┄┼┄┄┄┄
                 ▼ in                                                   ▼ last
    [[0.1, 0.5], [0.9, 0.5]]: what comes down            [[0.5, 0.1], [0.5, 0.9]]: what goes
    the picture, towards the camera, goes in             to the picture's left goes in

The same points in reverse swap `in` and `out`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta, Struct

from agent.data import Array

Unit = Annotated[float, Meta(ge=0, le=1)]
Point = tuple[Unit, Unit]
Seconds = Annotated[float, Meta(ge=0, le=3600)]
Anchor = Literal[
    "bottom_center", "center", "top_center", "bottom_left", "bottom_right", "top_left", "top_right", "left", "right"
]

ANCHORS: dict[str, tuple[float, float]] = {  # where in a box: 0..1 of its width, 0..1 of its height
    "bottom_center": (0.5, 1.0),
    "center": (0.5, 0.5),
    "top_center": (0.5, 0.0),
    "bottom_left": (0.0, 1.0),
    "bottom_right": (1.0, 1.0),
    "top_left": (0.0, 0.0),
    "top_right": (1.0, 0.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
}
GRID = 1 << 20  # cells a picture side: on whole cells every test of sides is exact in int64, none a matter of rounding
MAX_POINTS = 64


class Zone(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME.zones.ZONE]: an area that objects enter, stay in and leave."""

    polygon: tuple[Point, ...]  # its corners in order; the last joins the first
    labels: tuple[str, ...] = ()  # only these; empty = all
    anchor: Anchor = "bottom_center"  # the point of a box that must be inside: where feet and wheels are
    enter_s: Seconds = 0.5  # inside for this long = entered
    exit_s: Seconds = 1.0  # outside for this long = left

    DRAWN: ClassVar = "polygon"

    def flaw(self) -> str:
        """What is wrong with its polygon, in words that follow the key; "" if nothing is."""
        return _flaw(self.polygon, closed=True)


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME.lines.LINE]: a line, straight or bent, that objects cross `in` or `out`; both are counted."""

    points: tuple[Point, ...]  # from first to last; in = from the left hand to the right
    labels: tuple[str, ...] = ()  # only these; empty = all
    anchor: Anchor = "bottom_center"
    clearance: Annotated[float, Meta(ge=0, le=5)] = 0.1  # counts when this far from the line, in sizes of the object

    DRAWN: ClassVar = "points"

    def flaw(self) -> str:
        """What is wrong with its points, in words that follow the key; "" if nothing is."""
        return _flaw(self.points, closed=False)


def on_grid(points: Sequence[Sequence[float]]) -> Array:
    """Points in 0..1 -> (P, 2) int64 cells."""
    return np.rint(np.array(points, np.float64).reshape(-1, 2) * GRID).astype(np.int64)


def standpoints(xyxy: Array, anchors: Sequence[str], scale: Array) -> Array:
    """Where boxes (N, 4) px stand, by each anchor: (A, N, 2) int64 cells; `scale` (2,) px a cell.

    A point beyond the picture counts as its nearest cell: who is cut by the border stands in the zone that touches it.
    """
    share = np.array([ANCHORS[name] for name in anchors], np.float64).reshape(-1, 1, 2)
    corners = xyxy.astype(np.float64)
    points = (corners[:, :2] + (corners[:, 2:] - corners[:, :2]) * share) / scale
    return np.asarray(np.minimum(np.maximum(np.rint(points), 0), GRID - 1).astype(np.int64))


def _flaw(points: Sequence[Point], *, closed: bool) -> str:
    """Why a drawing cannot be used, in words that follow its key; "" if it can."""
    least = 3 if closed else 2
    if len(points) < least:
        return f"needs at least {least} points, has {len(points)}"
    if len(points) > MAX_POINTS:
        return f"has {len(points)} points; {MAX_POINTS} are the most"
    cells = [(int(x), int(y)) for x, y in on_grid(points).tolist()]
    edges = list(_edges(cells, closed))
    for i, j in edges:
        if cells[i] == cells[j]:
            closing = "; it closes by itself" if closed and j == 0 else ""
            return f"has the same point twice running, {i + 1} and {j + 1}{closing}"
    if closed and all(_side(cells[0], cells[1], cell) == 0 for cell in cells):
        return "has no area: all its points lie on one straight line"
    for (a, b), (c, d) in combinations(edges, 2):
        if _touch(cells, (a, b), (c, d)):
            return f"crosses itself: point {a + 1} to {b + 1} meets point {c + 1} to {d + 1}"
    return ""


def _edges(cells: Sequence[object], closed: bool) -> Iterator[tuple[int, int]]:
    yield from pairwise(range(len(cells)))
    if closed:
        yield len(cells) - 1, 0


def _touch(cells: Sequence[tuple[int, int]], first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether two edges meet anywhere but at the corner that joins them."""
    shared = set(first) & set(second)
    if shared:  # neighbours meet beyond their corner only when the second runs back along the first
        corner = shared.pop()
        p, q = cells[sum(first) - corner], cells[sum(second) - corner]
        return _side(p, cells[corner], q) == 0 and _ahead(cells[corner], p, q)
    (a, b), (c, d) = [(cells[i], cells[j]) for i, j in (first, second)]
    sides = _side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(side == 0 and _between(*end) for side, end in zip(sides, ends, strict=True))


def _side(a: tuple[int, int], b: tuple[int, int], p: tuple[int, int]) -> int:
    """-1, 0, 1: p is to the left of a -> b, on it, to the right (y is down)."""
    cross = (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
    return (cross > 0) - (cross < 0)


def _ahead(corner: tuple[int, int], p: tuple[int, int], q: tuple[int, int]) -> bool:
    return (p[0] - corner[0]) * (q[0] - corner[0]) + (p[1] - corner[1]) * (q[1] - corner[1]) > 0


def _between(a: tuple[int, int], b: tuple[int, int], p: tuple[int, int]) -> bool:
    return min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
