"""Invokes a second, shared by cameras."""

from hypothesis import given
from hypothesis import strategies as st

from agent.detect.budget import Budget


def spend(budget, camera, t, wanted=99):
    crops = min(wanted, budget.allowance(camera, t))
    budget.spend(camera, crops)
    return crops


@given(st.floats(0.5, 60), st.integers(1, 8), st.floats(0.5, 40))
def test_a_greedy_camera_gets_its_rate_and_no_more(per_second, per_frame, fps):
    budget = Budget(per_second, per_frame)
    seconds = 40
    spent = [spend(budget, "yard", i / fps) for i in range(int(seconds * fps))]
    assert max(spent) <= per_frame
    attainable = min(per_second, per_frame * fps) * seconds
    assert sum(spent) <= per_second * (seconds + 2) + 2
    assert sum(spent) >= 0.9 * min(attainable, len(spent) * per_frame) - per_frame - 2


def test_a_busy_camera_cannot_take_a_quiet_ones_part():
    budget = Budget(10, 8)
    for i in range(200):
        spend(budget, "busy", i / 10)
        spend(budget, "quiet", i / 10, wanted=0)
    assert budget.allowance("quiet", 20.0) >= 5  # its half of a second, saved


def test_what_a_quiet_camera_leaves_goes_to_the_busy_one():
    budget = Budget(10, 8)
    spent = 0
    for i in range(300):
        spent += spend(budget, "busy", i / 10)
        spend(budget, "quiet", i / 10, wanted=0)
    assert spent >= 0.9 * 10 * 30


def test_two_busy_cameras_get_equal_parts():
    budget = Budget(12, 8)
    spent = {"a": 0, "b": 0}
    for i in range(300):
        for camera in spent:
            spent[camera] += spend(budget, camera, i / 10)
    assert abs(spent["a"] - spent["b"]) <= 0.1 * sum(spent.values())


def test_a_camera_that_is_gone_has_no_part():
    budget = Budget(10, 20)
    spend(budget, "gone", 0.0)
    total = sum(spend(budget, "left", 30 + i / 10) for i in range(100))
    assert total >= 95
    assert set(budget._saved) == {"left"}


def test_a_clock_that_goes_back_pays_nothing_twice():
    budget = Budget(10, 8)
    spend(budget, "a", 100.0)
    assert sum(spend(budget, "a", 50.0) for _ in range(20)) <= 10
