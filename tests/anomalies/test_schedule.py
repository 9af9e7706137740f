"""Times as people say them, over midnight, weekends and the change of summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent.anomalies import Place
from agent.anomalies.parts.schedule import Schedule, Span

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 2, tzinfo=BERLIN)


def hours(*spans: str, day: int = 0) -> list[int]:
    """The hours of a day (0 = Monday) at whose half the schedule holds."""
    schedule = Schedule(spans)
    return [hour for hour in range(24) if MONDAY + timedelta(days=day, hours=hour, minutes=30) in schedule]


def test_no_span_is_always() -> None:
    assert hours() == list(range(24))


def test_hours_hold_on_every_day() -> None:
    assert hours("08:00-10:00", day=0) == hours("08:00-10:00", day=6) == [8, 9]
    assert hours("22:00-24:00") == [22, 23]


def test_days_hold_all_day() -> None:
    assert [len(hours("sat,sun", day=day)) for day in range(7)] == [0, 0, 0, 0, 0, 24, 24]
    assert [len(hours("fri-mon", day=day)) for day in range(7)] == [24, 0, 0, 0, 24, 24, 24]


def test_a_span_over_midnight_belongs_to_the_day_it_begins() -> None:
    assert hours("fri 22:00-06:00", day=4) == [22, 23]
    assert hours("fri 22:00-06:00", day=5) == [0, 1, 2, 3, 4, 5]
    assert hours("sun 22:00-06:00", day=0) == [0, 1, 2, 3, 4, 5]
    assert hours("fri 22:00-06:00", day=3) == []


def test_some_spans_hold_together() -> None:
    assert hours("mon 08:00-09:00", "12:00-13:00") == [8, 12]


@pytest.mark.parametrize("text", ["08:00-25:00", "8:00-9:00", "mo 08:00-09:00", "", "mon-", "mon 08:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Span)


def held(schedule: Schedule, begin: datetime, real_hours: int) -> int:
    """In how many of the next real minutes it holds, by a clock in Berlin."""
    place = Place("yard", "night", "intrusion", wall=lambda t: begin.timestamp() + t, time_zone=BERLIN)
    return sum(place.local(60.0 * minute) in schedule for minute in range(60 * real_hours))


def test_the_hour_that_is_left_out_in_spring_never_comes() -> None:
    begin = datetime(2026, 3, 28, 23, tzinfo=UTC)  # midnight of the 29th in Berlin, a day of 23 hours

    assert held(Schedule(["sun 02:00-03:00"]), begin, 23) == 0
    assert held(Schedule(["sun 00:00-06:00"]), begin, 23) == 5 * 60
    assert held(Schedule(["sun 08:00-09:00"]), begin, 23) == 60


def test_the_hour_that_comes_twice_in_autumn_counts_twice() -> None:
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight of the 25th in Berlin, a day of 25 hours

    assert held(Schedule(["sun 02:00-03:00"]), begin, 25) == 120
    assert held(Schedule(["sat 22:00-06:00"]), begin, 25) == 7 * 60
