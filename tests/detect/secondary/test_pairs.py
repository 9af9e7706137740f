"""Limits from pairs: what was asked is kept on the pairs it was found on, and what cannot be known is not said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.data import LookoutError
from agent.detect.secondary import pairs


def test_pairs_are_those_of_a_naive_loop():
    vectors = np.random.default_rng(0).normal(size=(7, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = ["a", "b", "a", "c", "b", "a", "c"]
    same, different = [], []
    for i in range(7):
        for j in range(i + 1, 7):
            (same if names[i] == names[j] else different).append(float(vectors[i] @ vectors[j]))
    found = pairs.cosines(vectors, names)
    assert found[0] == pytest.approx(same)
    assert found[1] == pytest.approx(different)


def test_a_limit_by_hand():
    same, different = np.array([0.9, 0.8, 0.55, 0.95]), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0, 0.15, 0.25, 0.35])
    found = pairs.judged(same, different, 0.1)
    assert 0.5 < found.limit < 0.501  # of ten pairs one may pass, .6, so the limit lies just above the second
    assert (found.false_accepts, found.false_rejects, found.same, found.different) == (0.1, 0.0, 4, 10)
    assert found.equal == pytest.approx((0.1 + 0.0) / 2)


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
    st.lists(st.floats(-1, 1, width=32), min_size=20, max_size=60),
    st.sampled_from([0.05, 0.1, 0.5, 1.0]),
)
def test_no_limit_lets_through_more_than_was_asked_and_none_is_stricter_than_it_must_be(same, different, accepts):
    found = pairs.judged(np.array(same), np.array(different), accepts)
    assert found.false_accepts <= accepts + 1e-9
    below = [one for one in different if one < found.limit]
    if below:  # one step lower would let more through than may be
        assert (np.array(different) >= max(below)).mean() > accepts


@pytest.mark.parametrize(("same", "different"), [([], [0.1] * 200), ([0.9], [0.1] * 99)])
def test_too_few_pairs_promise_nothing(same, different):
    with pytest.raises(LookoutError, match=r"rate of 0.01 needs at least 100 pairs of two names and one"):
        pairs.judged(np.array(same), np.array(different), 0.01)
