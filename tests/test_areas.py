"""Zones and lines as they are drawn: what is refused, in which words, and where a box stands on the picture."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import config
from agent.areas import GRID, MAX_POINTS, Line, Zone, standpoints

STREET = '[cameras.street]\nkind = "synthetic"\n'
YARD, DOOR = STREET + "[cameras.street.zones.yard]\n", STREET + "[cameras.street.lines.door]\n"
TRIANGLE = "polygon = [[0, 0], [1, 0], [0.5, 1]]\n"
Spot = tuple[float, float]

ERRORS = [
    ("too few", YARD + "polygon = [[0.1, 0.1], [0.2, 0.2]]", "4: {yard}.polygon needs at least 3 points, has 2"),
    ("pixels", YARD + "polygon = [[0, 0], [640, 0], [0, 1]]", "4: {yard}.polygon[1][0] must be a number <= 1, not 640"),
    (
        "not a number",
        YARD + "polygon = [[0, 0], [nan, 0], [0, 1]]",
        "4: {yard}.polygon[1][0] must be a number >= 0, not nan",
    ),
    (
        "three of them",
        YARD + "polygon = [[0, 0], [0, 1, 2]]",
        "4: {yard}.polygon[1] must be a list of length 2, not [0, 1, 2]",
    ),
    ("no list", YARD + 'polygon = "all"', "4: {yard}.polygon must be a list, not 'all'"),
    ("missing", YARD + "enter_s = 1", "3: {yard}.polygon is missing"),
    (
        "closed by hand",
        YARD + "polygon = [[0, 0], [1, 0], [1, 1], [0, 0]]",
        "4: {yard}.polygon has the same point twice running, 4 and 1; it closes by itself",
    ),
    (
        "a bow tie",
        YARD + "polygon = [[0, 0], [1, 1], [1, 0], [0, 1]]",
        "4: {yard}.polygon crosses itself: point 1 to 2 meets point 3 to 4",
    ),
    (
        "a spike",
        YARD + "polygon = [[0, 0], [1, 0], [1, 1], [1, 0.5], [0, 1]]",
        "4: {yard}.polygon crosses itself: point 2 to 3 meets point 3 to 4",
    ),
    (
        "a corner on an edge",
        YARD + "polygon = [[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]]",
        "4: {yard}.polygon crosses itself: point 1 to 2 meets point 3 to 4",
    ),
    (
        "flat",
        YARD + "polygon = [[0, 0], [0.5, 0.5], [1, 1]]",
        "4: {yard}.polygon has no area: all its points lie on one straight line",
    ),
    (
        "far too many",
        YARD + f"polygon = {[[i / 100, i % 2 / 100] for i in range(65)]}",
        f"4: {{yard}}.polygon has 65 points; {MAX_POINTS} are the most",
    ),
    ("unknown key", YARD + "polygn = []", "4: {yard}.polygn is not a known key; did you mean 'polygon'?"),
    ("negative patience", YARD + TRIANGLE + "exit_s = -1", "5: {yard}.exit_s must be a number >= 0, not -1"),
    (
        "anchor",
        YARD + TRIANGLE + 'anchor = "middle"',
        "5: {yard}.anchor must be one of 'bottom_center', 'center', 'top_center', 'bottom_left', 'bottom_right',"
        " 'top_left', 'top_right', 'left', 'right', not 'middle'",
    ),
    ("labels", YARD + TRIANGLE + 'labels = "person"', "5: {yard}.labels must be a list, not 'person'"),
    (
        "name that no topic can hold",
        STREET + '[cameras.street.zones."my yard"]\n' + TRIANGLE,
        "3: cameras.street.zones.my yard must be 1 to 64 letters, digits, '-' and '_', not 'my yard'",
    ),
    ("no table", STREET + "[cameras.street.zones]\nyard = 3", "4: {yard} must be a table, not 3"),
    (
        "a list of tables",
        STREET + "[[cameras.street.zones]]\n" + TRIANGLE,
        "3: cameras.street.zones must be tables: [cameras.street.zones.NAME]",
    ),
    (
        "nearly zones",
        STREET + "[cameras.street.zoens.yard]\n" + TRIANGLE,
        "3: cameras.street.zoens is not a known key; did you mean 'zones'?",
    ),
    ("a line of one point", DOOR + "points = [[0, 0]]", "4: {door}.points needs at least 2 points, has 1"),
    (
        "a line of no length",
        DOOR + "points = [[0, 0], [0, 0]]",
        "4: {door}.points has the same point twice running, 1 and 2",
    ),
    (
        "a line that turns back",
        DOOR + "points = [[0, 0], [1, 1], [0.5, 0.5]]",
        "4: {door}.points crosses itself: point 1 to 2 meets point 2 to 3",
    ),
    (
        "a loop",
        DOOR + "points = [[0, 0], [1, 0], [1, 1], [0, 0]]",
        "4: {door}.points crosses itself: point 1 to 2 meets point 3 to 4",
    ),
    (
        "clearance",
        DOOR + "points = [[0, 0], [1, 1]]\nclearance = 9",
        "5: {door}.clearance must be a number <= 5, not 9",
    ),
    (
        "a name for two",
        DOOR + "points = [[0, 0], [1, 1]]\n[cameras.street.zones.door]\n" + TRIANGLE,
        "3: {door}: there is a zone of this name already",
    ),
]


@pytest.mark.parametrize(("text", "message"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_error_names_file_line_and_zone(text: str, message: str) -> None:
    with pytest.raises(config.ConfigError) as error:
        config.parse(text, Path("agent.toml"))

    names = {"yard": "cameras.street.zones.yard", "door": "cameras.street.lines.door"}
    assert str(error.value) == "agent.toml:" + message.format(**names)


def test_zones_and_lines_are_read_in_their_order_with_their_defaults() -> None:
    settings = config.parse(
        YARD
        + TRIANGLE
        + '[cameras.street.zones.area]\nlabels = ["car"]\nanchor = "center"\nenter_s = 2\nexit_s = 3\n'
        + TRIANGLE
        + "[cameras.street.lines.door]\npoints = [[0, 0.5], [1, 0.5]]\n",
        Path("agent.toml"),
    )
    street, corners = settings.cameras["street"], ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0))

    assert list(street.zones) == ["yard", "area"]
    assert street.zones["yard"] == Zone(corners, (), "bottom_center", 0.5, 1.0)
    assert street.zones["area"] == Zone(corners, ("car",), "center", 2.0, 3.0)
    assert street.lines == {"door": Line(((0.0, 0.5), (1.0, 0.5)), (), "bottom_center", 0.1)}


def test_a_camera_has_neither_by_default() -> None:
    street = config.parse(STREET, Path("agent.toml")).cameras["street"]

    assert street.zones == street.lines == {}


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/lookout:/var/lib/other", "XDG_STATE_HOME": "/x"}, "/var/lib/lookout"),
        ({"XDG_STATE_HOME": "/x"}, "/x/lookout"),
        ({}, "/home/user/.local/state/lookout"),
    ],
)
def test_state_is_kept_where_systemd_or_the_users_desktop_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], folder: str
) -> None:
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/user")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert config.parse(STREET, Path("agent.toml")).state_dir == Path(folder)
    assert config.parse('state_dir = "~/kept"\n' + STREET, Path("agent.toml")).state_dir == Path("/home/user/kept")


def naively_apart(a: Spot, b: Spot, c: Spot, d: Spot) -> bool:
    """Whether two segments have no point in common: by solving for the point, in exact numbers."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = [(Fraction(x), Fraction(y)) for x, y in (a, b, c, d)]
    det = (bx - ax) * (dy - cy) - (by - ay) * (dx - cx)
    if det:
        u = ((cx - ax) * (dy - cy) - (cy - ay) * (dx - cx)) / det
        v = ((cx - ax) * (by - ay) - (cy - ay) * (bx - ax)) / det
        return not (0 <= u <= 1 and 0 <= v <= 1)
    if (cx - ax) * (by - ay) != (cy - ay) * (bx - ax):
        return True  # parallel
    return max(sorted((a, b))[0], sorted((c, d))[0]) > min(sorted((a, b))[1], sorted((c, d))[1])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda p: (p[0] / 8, p[1] / 8)), min_size=3, max_size=7
    )
)
def test_a_polygon_is_refused_if_and_only_if_its_edges_meet_beside_their_corners(polygon: list[Spot]) -> None:
    n = len(polygon)
    edges = [(polygon[i], polygon[(i + 1) % n]) for i in range(n)]
    apart = all(a != b for a, b in edges)
    for i, j in combinations(range(n), 2):
        if j - i in (1, n - 1):  # neighbours: the far end of one is not on the other
            first, second = (edges[i], edges[j]) if j - i == 1 else (edges[j], edges[i])
            apart &= naively_apart(*first, second[1], second[1]) and naively_apart(*second, first[0], first[0])
        else:
            apart &= naively_apart(*edges[i], *edges[j])

    assert (Zone(tuple(polygon)).flaw() == "") == apart


def test_a_box_stands_at_its_anchor_on_the_grid() -> None:
    scale = np.array((640, 384)) / GRID
    boxes = np.array([[64, 48, 128, 192], [600, 300, 700, 400]], np.float32)

    points = standpoints(boxes, ["bottom_center", "top_left"], scale)

    assert points.dtype == np.int64
    assert points[0, 0] * scale == pytest.approx(np.array([96, 192]), abs=0.001)
    assert points[1].tolist() == [[int(0.1 * GRID + 0.5), GRID // 8], [int(600 / 640 * GRID), int(300 / 384 * GRID)]]
    assert points[0, 1].tolist() == [GRID - 1, GRID - 1]  # beyond the picture: its last cell
