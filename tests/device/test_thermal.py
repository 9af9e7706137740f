"""Slower when hot: steps, their pace, and no swinging between two rates."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config
from agent.device.health import Board, Health
from agent.device.thermal import MAX_LEVEL, Thermal

COOL = msgspec.structs.replace(Board().look(), throttling=(), soc_c=50.0)


def at(degrees: float | None, *throttling: str) -> Health:
    return msgspec.structs.replace(COOL, soc_c=degrees, throttling=throttling)


def test_a_hot_board_is_slowed_step_by_step_and_a_cooled_one_recovers() -> None:
    thermal = Thermal(config.Thermal(slow_c=77, cool_c=70, settle_s=30))
    readings = [(0, 60.0), (10, 78.0), (20, 80.0), (45, 80.0), (80, 74.0), (200, 74.0), (210, 69.0), (250, 69.0)]
    levels = [thermal.update(at(degrees), t) for t, degrees in readings]

    assert levels == [0, 1, 1, 2, 2, 2, 1, 0]
    assert thermal.slow_by == 1


def test_the_pause_doubles_with_each_level() -> None:
    thermal = Thermal(config.Thermal(settle_s=1))
    pauses = []
    for t in range(0, 60, 10):
        thermal.update(at(90), t)
        pauses.append(thermal.slow_by)

    assert pauses == [2, 4, 8, 8, 8, 8]


def test_first_the_rate_falls_then_the_crops_then_the_threads() -> None:
    thermal = Thermal(config.Thermal(settle_s=1))
    measures = []
    for t, degrees in enumerate((90, 90, 90, 60, 60, 60)):
        thermal.update(at(degrees), 10.0 * t)
        measures.append((thermal.slow_by, thermal.fewer_crops, thermal.one_thread))

    up, down = [(2, False, False), (4, True, False), (8, True, True)], [(4, True, False), (2, False, False)]
    assert measures == [*up, *down, (1, False, False)]


def test_a_board_held_back_by_its_firmware_is_hot_whatever_it_says() -> None:
    assert Thermal(config.Thermal()).update(at(62, "soft temperature limit"), 0) == 1
    assert Thermal(config.Thermal()).update(at(None, "throttled"), 0) == 1


def test_under_voltage_is_not_heat() -> None:
    assert Thermal(config.Thermal()).update(at(60, "under-voltage", "frequency capped"), 0) == 0


def test_a_board_without_a_sensor_is_never_slowed() -> None:
    thermal = Thermal(config.Thermal())
    assert [thermal.update(msgspec.structs.replace(COOL, soc_c=None, throttling=None), t) for t in range(0, 99, 33)]
    assert thermal.level == 0


def test_it_can_be_turned_off() -> None:
    assert Thermal(config.Thermal(enabled=False)).update(at(99), 0) == 0


def test_marks_the_wrong_way_round_are_an_error() -> None:
    with pytest.raises(ValueError, match="cool_c must be below slow_c, 80 is not below 77"):
        config.Thermal(cool_c=80)


@given(st.lists(st.floats(20, 110), min_size=1, max_size=60))
def test_steps_are_single_bounded_and_never_faster_than_they_settle(degrees: list[float]) -> None:
    thermal = Thermal(config.Thermal(settle_s=25))
    level, changed = 0, float("-inf")
    for n, reading in enumerate(degrees):
        new = thermal.update(at(reading), n * 10.0)
        assert 0 <= new <= MAX_LEVEL
        assert abs(new - level) <= 1
        if new != level:
            assert n * 10.0 - changed >= 25
            assert reading >= 77 if new > level else reading <= 70
            level, changed = new, n * 10.0


@given(st.lists(st.floats(70.01, 76.99), min_size=1, max_size=40), st.booleans())
def test_between_the_marks_nothing_changes(degrees: list[float], hot_before: bool) -> None:
    thermal = Thermal(config.Thermal(settle_s=1))
    if hot_before:
        thermal.update(at(90), 0)
    level = thermal.level

    assert {thermal.update(at(reading), 100.0 + n * 100) for n, reading in enumerate(degrees)} == {level}
