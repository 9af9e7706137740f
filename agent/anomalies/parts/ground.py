"""A place in the picture -> metres on the ground, from four points of which both are known.

    picture, 0..1                     ground, m
        4 ┄┄┄┄ 3                      4 ┄┄┄┄┄┄ 3
       ╱        ╲        H            ┆        ┆
      ╱          ╲     ─────▶         ┆        ┆
     1 ┄┄┄┄┄┄┄┄┄┄ 2                   1 ┄┄┄┄┄┄ 2

H is the homography of a plane (Hartley & Zisserman, Multiple View Geometry, 4.1): right for what stands on the ground,
that is for the feet of a box and not for its centre.
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated

import cv2
import numpy as np
from msgspec import Meta, Struct

from agent.areas import Point
from agent.data import Array

Four = Annotated[tuple[Point, ...], Meta(min_length=4, max_length=4)]
FourMetres = Annotated[tuple[tuple[float, float], ...], Meta(min_length=4, max_length=4)]


class Ground(Struct, frozen=True, forbid_unknown_fields=True):
    """`ground = { picture = [...], metres = [...] }`: four points of the ground, in the same order in both."""

    picture: Four  # 0..1
    metres: FourMetres  # from wherever you like, x and y at right angles

    def __post_init__(self) -> None:
        for name, points in (("picture", self.picture), ("metres", self.metres)):
            if flat(points):
                raise ValueError(f"{name}: three of the four points lie on one straight line")

    def matrix(self) -> Array:
        """(3, 3) float64: 0..1 of the picture -> metres."""
        return np.asarray(
            cv2.getPerspectiveTransform(np.array(self.picture, np.float32), np.array(self.metres, np.float32))
        )


def flat(points: tuple[tuple[float, float], ...]) -> bool:
    """Whether three of them lie on (nearly) one straight line."""
    extent = max(max(abs(a[k] - b[k]) for a, b in combinations(points, 2)) for k in (0, 1))
    return any(
        abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) <= 1e-3 * extent * extent
        for a, b, c in combinations(points, 3)
    )


def on_ground(matrix: Array, points: Array) -> Array:
    """(N, 2) in 0..1 of the picture -> (N, 2) m; nan beyond the horizon."""
    h = points @ matrix[:, :2].T + matrix[:, 2]
    depth = h[:, 2:] * np.sign(matrix[2, 2] or 1.0)
    return np.asarray(np.where(depth > 1e-6, h[:, :2] / np.where(h[:, 2:] == 0, 1.0, h[:, 2:]), np.nan))
