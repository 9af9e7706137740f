"""Loitering, crowding, speeding, wrong way, intrusion: what they tell of worlds in which it is known what happened."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent.anomalies import wrong_way
from agent.anomalies.parts.ground import Ground
from tests.anomalies.walks import Walk, World, ends, stand, starts, straight
from tests.bench.anomalies_rules import CASES, outcomes

FAST = straight((0.05, 0.6), (0.3, 0.0))  # widths a second


@pytest.mark.parametrize("name", CASES)
def test_planted_cases_are_told_and_nothing_else_is(name: str) -> None:
    planted, found, extra = outcomes(name, 16, seed=7)

    assert (found, extra) == (planted, 0)


def test_who_stays_is_told_once_with_the_time_and_is_over_when_he_leaves() -> None:
    told = World([Walk(stand(0.2, 0.8), 1.0, 16.0)]).told("loitering", zones=("left",), dwell_s=10.0)

    (start,), (end,) = starts(told), ends(told)
    assert start.t == 11.6  # 10 s after the zone took him in
    assert start.track_id == 1
    assert start.detail["reason"] == "person stays in 'left' for 10.0 s; the limit is 10.0 s"
    assert (start.detail["value"], start.detail["limit"], start.detail["label"]) == (10.0, 10.0, "person")
    assert end.t == 16.0
    assert end.detail["value"] == pytest.approx(14.2)


def test_who_is_away_for_a_moment_has_stayed_and_who_is_away_for_long_has_not() -> None:
    def comes_back(after: float) -> World:
        return World([Walk(lambda t: (0.2 if not 5 <= t < 5 + after else 0.8, 0.8))], seconds=14.0)

    options = {"zones": ("left",), "dwell_s": 9.0, "away_s": 4.0}
    assert len(starts(comes_back(2.0).told("loitering", **options))) == 1
    assert starts(comes_back(6.0).told("loitering", **options)) == []


def test_halving_the_frame_rate_changes_no_time() -> None:
    for fps in (2.0, 4.0, 8.0):
        (start,) = starts(World([Walk(stand(0.2, 0.8))], fps=fps).told("loitering", dwell_s=10.0))
        assert start.t == 10.0


def test_a_crowd_is_counted_in_its_zone() -> None:
    crowd = [Walk(stand(0.1 + 0.08 * k, 0.8), 2.0, 12.0) for k in range(4)]
    apart = [Walk(stand(0.7, 0.8))]
    told = World([*crowd, *apart], seconds=30.0).told("crowding", zones=("left",), most=3, hold_s=2.0, clear_s=5.0)

    (start,), (end,) = starts(told), ends(told)
    assert start.t == pytest.approx(4.6, abs=0.01)  # a zone is entered after 0.5 s
    assert start.detail["reason"] == "4 persons in 'left'; more than 3 are a crowd"
    assert end.t == pytest.approx(16.8, abs=0.6)


def test_a_speed_is_told_in_widths_a_second() -> None:
    (start,) = starts(World([Walk(FAST, 1.0, 4.0)]).told("speeding", limit=0.2))

    assert start.detail["value"] == pytest.approx(0.3, rel=0.02)
    assert start.detail["reason"].startswith("person at 0.30 widths/s; the limit is 0.2")


def test_a_speed_on_the_ground_is_the_same_near_and_far() -> None:
    ground = Ground(((0.1, 0.9), (0.9, 0.9), (0.7, 0.3), (0.3, 0.3)), ((0, 0), (8, 0), (8, 24), (0, 24)))
    near = Walk(straight((0.1, 0.9), (0.8 / 2, 0.0)), 0.0, 2.0)  # 8 m in 2 s
    far = Walk(straight((0.3, 0.3), (0.4 / 2, 0.0)), 0.0, 2.0)  # 8 m in 2 s
    told = starts(World([near, far], seconds=4.0).told("speeding", limit=3.0, ground=ground))

    assert [event.detail["value"] for event in told] == pytest.approx([4.0, 4.0], rel=0.02)
    assert {event.detail["unit"] for event in told} == {"m/s"}


def test_what_is_not_looked_for_does_not_stand_still() -> None:
    world = World([Walk(FAST, 0.0, 3.0)], fps=15.0, unlooked=0.6, seed=3)

    (start,) = starts(world.told("speeding", limit=0.25))
    assert start.detail["value"] == pytest.approx(0.3, rel=0.1)


def test_a_line_crossed_the_wrong_way_names_the_line() -> None:
    up, down = Walk(straight((0.4, 0.9), (0.0, -0.2)), 0.0, 4.0), Walk(straight((0.6, 0.2), (0.0, 0.2)), 0.0, 4.0)
    told = World([up, down]).told("wrong_way", lines=("gate",), way="in")

    (start,), (end,) = starts(told), ends(told)
    assert start.track_id == 1
    assert start.detail["reason"] == "person crosses 'gate' out; only in is allowed"
    assert end.t >= start.t + 5.0


def test_who_goes_back_in_a_zone_is_told_and_who_sways_is_not() -> None:
    there_and_back = Walk(lambda t: (0.1 + 0.05 * min(t, 12 - t), 0.7), 0.0, 12.0)
    sways = Walk(lambda t: (0.3 + (0.01 if int(t * 5) % 2 else 0.0), 0.9))
    told = World([there_and_back, sways]).told("wrong_way", zones=("left",), direction=((0.0, 0.5), (1.0, 0.5)))

    (start,) = starts(told)
    assert start.track_id == 1
    assert start.t > 6.0


def test_the_wrong_way_needs_a_line_or_a_direction() -> None:
    with pytest.raises(ValueError, match="needs lines, or a direction"):
        wrong_way.Options()
    with pytest.raises(ValueError, match="its two points are the same"):
        wrong_way.Options(direction=((0.1, 0.1), (0.1, 0.1)))


def at(hour: int, minute: int = 0) -> float:
    return datetime(2026, 3, 2, hour, minute, tzinfo=ZoneInfo("UTC")).timestamp()


def test_an_intruder_is_told_with_the_hour_and_what_it_means() -> None:
    world = World([Walk(stand(0.2, 0.8), 2.0, 8.0)], seconds=30.0)
    told = world.told("intrusion", lambda t: at(3, 12) + t, zones=("left",), when=("22:00-06:00",))

    (start,), (end,) = starts(told), ends(told)
    assert start.detail["reason"].startswith("1 person in 'left' at Mon ")
    assert start.detail["reason"].endswith("; nobody should be there 22:00-06:00")
    assert (start.detail["value"], start.detail["limit"], start.detail["zone"]) == (1, 0.0, "left")
    assert start.t == pytest.approx(3.6, abs=0.21)
    assert end.t == pytest.approx(17.8)


def test_an_intruder_who_was_there_before_the_hour_is_told_when_it_comes() -> None:
    world = World([Walk(stand(0.2, 0.8))], seconds=60.0)
    told = world.told("intrusion", lambda t: at(21, 59) + 30 + t, zones=("left",), when=("22:00-06:00",))

    (start,) = starts(told)
    assert start.t == pytest.approx(31.0, abs=0.21)


def test_options_that_make_no_sense_are_refused() -> None:
    for kind, options in (("loitering", {"dwell_s": 0}), ("intrusion", {"when": ["8-9"]}), ("speeding", {})):
        module = __import__(f"agent.anomalies.{kind}", fromlist=["Options"])
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(options, module.Options)
