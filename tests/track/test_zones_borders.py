"""Which points a zone holds: polygons against a naive ray, edges, corners, the picture's border, anchors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.areas import ANCHORS, GRID, Line, Zone
from agent.track.polygons import Polygons
from tests.track.drawn import EIGHTHS
from tests.track.walks import BOX, SIZE, SQUARE, Spot, Street, told, tracks

POLYGONS = st.lists(EIGHTHS, min_size=3, max_size=7)


def cells(points: list[Spot]) -> np.ndarray:
    return np.array([[int(x * GRID), int(y * GRID)] for x, y in points], np.int64).reshape(-1, 2)


def naively_inside(polygon: list[Spot], spot: Spot) -> bool:
    """Even-odd by a ray from the spot moved by less than anything else here, in exact numbers."""
    x, y = Fraction(spot[0]) + Fraction(1, 10**4), Fraction(spot[1]) + Fraction(1, 10**8)
    odd = False
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (ay > y) != (by > y) and Fraction(ax) + (y - Fraction(ay)) * Fraction(bx - ax) / Fraction(by - ay) > x:
            odd = not odd
    return odd


@settings(deadline=None)
@given(st.lists(POLYGONS, min_size=1, max_size=4), st.lists(EIGHTHS, min_size=1, max_size=9))
def test_points_in_polygons_agree_with_a_naive_ray(polygons: list[list[Spot]], spots: list[Spot]) -> None:
    zones = Polygons({str(i): Zone(tuple(polygon)) for i, polygon in enumerate(polygons)})

    contained = zones.contain(np.stack([cells(spots)] * len(polygons)))

    assert contained.tolist() == [[naively_inside(polygon, spot) for spot in spots] for polygon in polygons]


@settings(deadline=None)
@given(EIGHTHS)
def test_zones_that_share_edges_and_corners_never_share_a_point(middle: Spot) -> None:
    """Four triangles around any middle make up the picture; every point of it lies in exactly one."""
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    triangles = [(a, b, middle) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]
    zones = Polygons({str(i): Zone(triangle) for i, triangle in enumerate(triangles)})
    spots = [(x / 16, y / 16) for x in range(16) for y in range(16)]

    assert (zones.contain(np.stack([cells(spots)] * 4)).sum(axis=0) == 1).all()


def test_a_zone_holds_its_left_and_top_edges_and_not_its_right_and_bottom_ones() -> None:
    edges = [(0.25, 0.5), (0.5, 0.25), (0.25, 0.25), (0.75, 0.5), (0.5, 0.75), (0.75, 0.75), (0.75, 0.25), (0.25, 0.75)]

    contained = Polygons({"yard": Zone(SQUARE)}).contain(cells(edges)[None])

    assert contained.tolist() == [[True, True, True, False, False, False, False, False]]


@pytest.mark.parametrize("spot", [(0.5, 1.0), (1.0, 1.0), (1.0, 0.5), (0.5, 1.02), (0.0, 0.5), (-0.01, 0.6)])
def test_what_the_border_cuts_stands_in_the_zone_that_reaches_to_the_border(spot: Spot) -> None:
    street = Street({"all": Zone(((0, 0), (1, 0), (1, 1), (0, 1)), enter_s=0)})

    assert told(street.walk(spot, end=False)) == ["zone_enter"]


@pytest.mark.parametrize("anchor", ANCHORS)
def test_the_anchor_is_the_point_that_must_be_inside(anchor: str) -> None:
    """A zone of 2 px around each point of the box in turn: only the zone around the anchor holds it."""
    x, y = 0.5 - BOX[0] / 2 / SIZE[0], 0.5 - BOX[1] / SIZE[1]
    spots = {}
    for name in ANCHORS:
        fx = 0.0 if "left" in name else 1.0 if "right" in name else 0.5
        fy = 0.0 if "top" in name else 1.0 if "bottom" in name else 0.5
        spots[name] = x + fx * BOX[0] / SIZE[0], y + fy * BOX[1] / SIZE[1]
    zones = {}
    for name, (px, py) in spots.items():
        dx, dy = 1 / SIZE[0], 1 / SIZE[1]
        corners = (px - dx, py - dy), (px + dx, py - dy), (px + dx, py + dy), (px - dx, py + dy)
        zones[name] = Zone(corners, anchor=anchor, enter_s=0)
    street = Street(zones)

    assert [event.source for event in street.walk((0.5, 0.5), end=False)] == [anchor]


def test_zones_keep_their_place_when_the_camera_changes_its_resolution() -> None:
    street = Street({"yard": Zone(SQUARE, enter_s=0, exit_s=0)}, {"door": Line(((0, 0.4), (1, 0.4)))})

    street.see(tracks({1: (0.5, 0.5)}))
    for size in ((1280, 768), (320, 192), (1920, 1080)):
        street.see(tracks({1: (0.5, 0.5)}, size=size), size=size)

    assert told(street.events) == ["zone_enter"]
