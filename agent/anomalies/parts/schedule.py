"""When something counts, as people say it: "22:00-06:00", "mon-fri", "sat,sun 08:00-18:30".

Hours are those of the clock on the wall at each moment, so nothing is reckoned across a change of summer time: the
hour that is left out in spring never comes, the one that comes twice in autumn counts twice. A span over midnight
belongs to the day on which it begins:

    "fri 22:00-06:00"      fri ░░░░░░░░░░██│██████░░░░░░░░ sat
                                         22:00   06:00
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from msgspec import Meta

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = f"(?:{'|'.join(_DAYS)})"
_SOME_DAYS = f"{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_HOURS = f"{_CLOCK}-(?:{_CLOCK}|24:00)"
_WORDS = 'days, hours or both, as "mon-fri 22:00-06:00", "sat,sun"'
Span = Annotated[str, Meta(pattern=f"^(?:{_SOME_DAYS}|{_HOURS}|{_SOME_DAYS} {_HOURS})$", description=_WORDS)]


@dataclass(frozen=True, slots=True)
class _Span:
    days: frozenset[int]  # 0 = Monday
    begin: int  # minutes since midnight
    end: int  # the same; not after `begin`: on the next day

    def holds(self, day: int, minute: int) -> bool:
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


class Schedule:
    """Some spans; none = always."""

    def __init__(self, spans: Sequence[str]) -> None:
        self._spans = tuple(_span(text) for text in spans)
        self.words = "; ".join(spans) or "at any time"

    def __contains__(self, moment: datetime) -> bool:
        """Whether it is one of these times, by the clock on the wall."""
        day, minute = moment.weekday(), moment.hour * 60 + moment.minute
        return not self._spans or any(span.holds(day, minute) for span in self._spans)


def _span(text: str) -> _Span:
    days = set()
    for first, last in re.findall(rf"({_DAY})(?:-({_DAY}))?", text):
        begin = _DAYS.index(first)
        days |= {(begin + k) % 7 for k in range((_DAYS.index(last or first) - begin) % 7 + 1)}
    clocks = [60 * int(hour) + int(minute) for hour, minute in re.findall(r"(\d\d):(\d\d)", text)]
    begin, end = clocks or (0, 24 * 60)
    return _Span(frozenset(days or range(7)), begin, end)
