"""Likeness against naive loops, pairing against brute force over all assignments."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agent import boxes
from agent.data import Array
from agent.track import association

GAINS = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.3, 0.35, 0.9, 1.0, 2.0]))
)


def naive_buffered_iou(a: Array, buffer: Array, b: Array) -> float:
    """One pair, grown by hand."""
    grow = np.array([-buffer[0], -buffer[1], buffer[0], buffer[1]])
    return float(boxes.iou((a + grow)[None], (b + grow)[None])[0, 0])


def best_total(gain: Array) -> float:
    """The greatest total over every way to pair, tried one by one."""
    if gain.shape[0] > gain.shape[1]:
        gain = gain.T
    n, m = gain.shape
    return max(sum(gain[i, p[i]] for i in range(n)) for p in permutations(range(m), n))


def test_buffered_iou_equals_the_naive_loop_far_from_the_origin() -> None:
    rng = np.random.default_rng(1)
    low = rng.uniform([900, 300], [1300, 500], (6, 2))
    a = np.hstack([low, low + rng.uniform(10, 90, (6, 2))])
    low = rng.uniform([900, 300], [1300, 500], (9, 2))
    b = np.hstack([low, low + rng.uniform(10, 90, (9, 2))])
    buffer = rng.uniform(0, 40, (6, 2))
    expected = [[naive_buffered_iou(a[i], buffer[i], b[j]) for j in range(9)] for i in range(6)]
    np.testing.assert_allclose(association.buffered_iou(a, buffer, b), expected, atol=1e-12)


def test_no_buffer_is_plain_iou() -> None:
    a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])
    np.testing.assert_allclose(association.buffered_iou(a, np.zeros((1, 2)), b), [[1 / 3]])


def test_boxes_that_do_not_meet_are_alike_when_little_is_known() -> None:
    a, b = np.array([[100.0, 50, 140, 150]]), np.array([[150.0, 50, 190, 150]])
    assert association.buffered_iou(a, np.array([[2.0, 2]]), b)[0, 0] == 0
    assert association.buffered_iou(a, np.array([[30.0, 30]]), b)[0, 0] > 0.2


@pytest.mark.parametrize(
    ("velocity", "xy", "sign"), [((80.0, 0.0), (300.0, 100.0), 1), ((80.0, 0.0), (20.0, 100.0), -1)]
)
def test_heading_is_where_the_track_went(velocity: tuple[float, float], xy: tuple[float, float], sign: int) -> None:
    args = (np.array([[100.0, 100.0]]), np.array([velocity]), np.array([5.0]), np.array([60.0]))
    assert sign * association.heading(*args, np.array([xy]))[0, 0] > 0.9


def test_heading_of_something_that_stands_is_unknown() -> None:
    args = (np.array([[100.0, 100.0]]), np.zeros((1, 2)), np.array([5.0]), np.array([60.0]))
    assert association.heading(*args, np.array([[300.0, 100.0]]))[0, 0] == 0


@given(GAINS)
def test_pairs_have_the_greatest_total_gain(gain: Array) -> None:
    pairs = association.pair(gain)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert (gain[pairs[:, 0], pairs[:, 1]] > 0).all()
    assert gain[pairs[:, 0], pairs[:, 1]].sum() == pytest.approx(best_total(gain))


def test_pairs_equal_scipys_on_large_problems() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(3)
    for shape in ((40, 40), (30, 55), (55, 30)):
        gain = np.where(rng.random(shape) < 0.3, rng.random(shape), 0)
        rows, columns = optimize.linear_sum_assignment(-gain)
        pairs = association.pair(gain)
        assert gain[pairs[:, 0], pairs[:, 1]].sum() == pytest.approx(gain[rows, columns].sum())


def test_greed_would_have_been_worse() -> None:
    """[[.9, .8], [.85, 0]]: taking .9 first leaves the second row alone."""
    pairs = association.pair(np.array([[0.9, 0.8], [0.85, 0.0]]))
    assert pairs.tolist() == [[0, 1], [1, 0]]


def test_an_earlier_turn_takes_first() -> None:
    likeness = np.array([[0.5, 0.0], [0.9, 0.4]])
    first, second = np.array([True, False]), np.array([False, True])
    every = np.ones(2, np.bool_)
    pairs = association.in_turns(likeness, likeness, [(first, every, 0.1), (second, every, 0.1)])
    assert pairs.tolist() == [[0, 0], [1, 1]]
    pairs = association.in_turns(likeness, likeness, [(first, every, 0.1), (second, every, 0.45)])
    assert pairs.tolist() == [[0, 0]]


def test_nothing_to_pair() -> None:
    assert association.in_turns(
        np.zeros((0, 3)), np.zeros((0, 3)), [(np.zeros(0, bool), np.ones(3, bool), 0.1)]
    ).shape == (0, 2)
    assert association.pair(np.zeros((2, 3))).shape == (0, 2)
