"""A graph in which some operators lose something: the search finds them, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.tuning import search


def losing(guilty, each=0.1):
    """Every guilty operator that is not in float loses `each`."""

    def loss_of(region):
        asked.append(region)
        return each * len(set(guilty) - set(region))

    asked = []
    loss_of.asked = asked
    return loss_of


@pytest.mark.parametrize("guilty", [[0], [11, 12, 13, 14, 15], [40], [99], [23, 24, 25, 26]])
def test_neighbours_that_lose_are_found_exactly(guilty):
    found = search.search(100, losing(guilty), 0.02)
    assert found.best.loss == 0
    assert found.best.region == tuple(guilty)


def test_two_places_far_apart_are_both_kept():
    found = search.search(80, losing([3, 70]), 0.02)
    assert found.best.loss == 0
    assert {3, 70} <= set(found.best.region)


def test_what_cannot_be_cured_gives_the_least_loss_and_says_where_it_lies():
    found = search.search(80, losing([5, 25, 26, 45, 65]), 0.02)
    assert found.best.loss == pytest.approx(0.2)
    assert [round(part.loss, 6) for part in found.parts] == [0.4, 0.3, 0.4, 0.4]


def test_what_is_given_back_costs_little():
    """Seven of the ten would do for the budget, but the quarter loses nothing at all."""
    found = search.search(100, losing(range(10, 20), each=0.01), 0.03)
    assert found.best.region == tuple(range(10, 20))
    found = search.search(100, losing(range(10, 20), each=0.001), 0.03)
    assert found.best.loss == pytest.approx(0.008)
    assert len(found.best.region) == 2


@given(st.integers(1, 400), st.data())
def test_trials_are_capped_and_never_in_vain(count, data):
    guilty = data.draw(st.sets(st.integers(0, count - 1), max_size=6))
    loss_of = losing(guilty)
    found = search.search(count, loss_of, 0.02, most=20)
    assert len(loss_of.asked) == found.trials <= 20
    assert all(region for region in loss_of.asked)
    assert found.best.loss <= min(part.loss for part in found.parts) or found.best.loss <= 0.02


def test_what_is_settled_at_the_best_quarter_is_what_shrinks():
    """Settling changes the rules: from then on only 30 loses, so that 5 can be given back."""
    asked = []
    guilty = {"now": {30, 5}}

    def settle(region):
        asked.append(region)
        guilty["now"] = {30}
        return loss_of(region)

    def loss_of(region):
        return 0.1 * len(guilty["now"] - set(region))

    found = search.search(100, loss_of, 0.02, settle=settle)
    assert len(asked) == 1
    assert found.best.region == (30,)
