"""Lines against a naive count, over any path that hypothesis draws."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.areas import GRID, Line
from agent.track.lines import Lines
from agent.track.memory import Memory
from tests.track.walks import ABOVE, ACROSS, BELOW, SIZE, Spot, Street, told

EIGHTHS = st.tuples(st.integers(0, 7), st.integers(0, 7)).map(lambda p: (p[0] / 8, p[1] / 8))


BENT = st.lists(EIGHTHS, min_size=2, max_size=5).filter(lambda points: not Line(tuple(points)).flaw())


PATHS = st.lists(EIGHTHS, min_size=2, max_size=8)


def side(a: Spot, b: Spot, p: tuple[Fraction, Fraction]) -> int:
    """1: p is to the right of a -> b, -1: to the left, in exact numbers."""
    (ax, ay), (bx, by) = [(Fraction(x), Fraction(y)) for x, y in (a, b)]
    turn = (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax)
    assert turn
    return 1 if turn > 0 else -1


def naive_net(line: list[Spot], path: list[Spot]) -> int:
    """In minus out of a path that is really moved by less than anything else here, so that nothing is on a line."""
    moved = [(Fraction(x) + Fraction(1, 10**4), Fraction(y) + Fraction(1, 10**8)) for x, y in path]
    net = 0
    for p, q in pairwise(moved):
        for a, b in pairwise(line):
            if p != q and side(a, b, p) != side(a, b, q) and side(p, q, a) != side(p, q, b):
                net += side(a, b, q)
    return net


def net_of(line: list[Spot], path: list[Spot]) -> int:
    """The same by Lines, before anything counts."""
    lines = Lines({"door": Line(tuple(line), clearance=5.0)})
    records = Memory([("seen", np.bool_), *lines.fields]).read(np.array([0]))
    before = np.zeros((1, 1, 2), np.int64)
    for spot in path:
        points = np.rint(np.array([[spot]]) * GRID).astype(np.int64)
        found = lines.observe(
            *(records, before, points, np.ones((1, 1), np.bool_), 0.0),
            sizes=np.array([1e9]),
            scale=np.array(SIZE) / GRID,
        )
        assert list(found) == []
        records["seen"], before = True, points
    return int(records["net"][0, 0])


@settings(deadline=None)
@given(BENT, PATHS)
def test_net_crossings_agree_with_a_naive_count_of_a_path_that_is_never_on_the_line(
    line: list[Spot], path: list[Spot]
) -> None:
    assert net_of(line, path) == naive_net(line, path)


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), min_size=2, max_size=5), PATHS, st.data())
def test_over_a_line_from_border_to_border_in_minus_out_is_the_change_of_sides_whatever_was_not_seen(
    heights: list[int], path: list[Spot], data: st.DataObject
) -> None:
    """A bent line divides the picture: the count follows from where the path begins and ends alone."""
    line = [(i / (len(heights) - 1), height / 8) for i, height in enumerate(heights)]
    frames = sorted({0, len(path) - 1} | data.draw(st.sets(st.integers(0, len(path) - 1))))

    assert net_of(line, path) == net_of(line, [path[i] for i in frames])


@settings(deadline=None)
@given(BENT, PATHS)
def test_the_line_in_reverse_swaps_in_and_out(line: list[Spot], path: list[Spot]) -> None:
    assert net_of(line, path) == -net_of(line[::-1], path)


@settings(deadline=None)
@given(BENT, PATHS)
def test_there_and_back_on_the_same_way_is_nothing(line: list[Spot], path: list[Spot]) -> None:
    assert net_of(line, path + path[::-1]) == 0


@settings(deadline=None)
@given(st.integers(0, 12), st.integers(1, 4), st.sampled_from([5.0, 10.0, 30.0]))
def test_a_path_through_the_line_k_times_counts_k_times_and_alternates(k: int, steps: int, fps: float) -> None:
    street = Street(lines={"door": ACROSS}, fps=fps)
    spots = [ABOVE]
    for i in range(k):
        begin, end = (ABOVE, BELOW) if i % 2 == 0 else (BELOW, ABOVE)
        spots += [(0.5, begin[1] + (end[1] - begin[1]) * step / steps) for step in range(1, steps + 1)]

    events = street.walk(*spots)

    assert told(events) == [("line_cross in", "line_cross out")[i % 2] for i in range(k)]
    assert street.count("door", "in") - street.count("door", "out") == k % 2


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 0.9), st.sampled_from([0.2, 0.35, 0.65, 0.8])), min_size=2, max_size=6),
    st.integers(2, 6),
    st.integers(0, 1),
)
def test_half_the_frames_give_the_same_counts(corners: list[Spot], steps: int, first: int) -> None:
    path = [corners[0]] * 2
    for a, b in pairwise(corners):
        path += [(a[0] + (b[0] - a[0]) * i / steps, a[1] + (b[1] - a[1]) * i / steps) for i in range(1, steps + 1)]
        path.append(b)  # two frames at each turn, so that one of them is in either half
    full, half = Street(lines={"door": ACROSS}, fps=10), Street(lines={"door": ACROSS}, fps=5)

    assert told(full.walk(*path)) == told(half.walk(*path[first::2]))


@settings(deadline=None)
@given(PATHS, BENT, st.sampled_from([0.0, 0.1, 1.0]))
def test_what_is_counted_by_the_end_is_the_net_of_the_path(
    path: list[Spot], line: list[Spot], clearance: float
) -> None:
    """At any clearance, for a track that was clear of the line once."""
    path = [(15 / 16, 15 / 16), *path]  # more than one size of the object from every eighth
    street = Street(lines={"door": Line(tuple(line), clearance=clearance)})

    street.walk(*path)

    assert street.count("door", "in") - street.count("door", "out") == naive_net(line, path)
