"""Only an event on which connections end again and again is given up: a broker that crashes is not its fault."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agent.publish.suspect import CUTS, HARDLY, SOON_S, Suspect


class Line:
    """A connection that is made and cut, and an outbox of which only two numbers matter."""

    def __init__(self) -> None:
        self.outbox = SimpleNamespace(oldest=1, cursor=0)
        self.suspect = Suspect(self.outbox)  # type: ignore[arg-type]
        self._now = 0.0

    def cut(self, oldest: float, cursor: int, *, lasted: float = 0.1, heard: bool = True) -> int | None:
        """The next connection, with events up to `cursor` handed out and `oldest` the first that was not answered."""
        self.suspect.online(self._now)
        if heard:
            self.suspect.heard()
        self._now += lasted
        self.outbox.oldest, self.outbox.cursor = oldest, cursor
        return self.suspect.offline(self._now)


def test_the_event_on_which_careful_connections_end_is_given_up() -> None:
    line = Line()
    assert [line.cut(5, 64), line.cut(7, 64)] == [None, None]
    assert line.suspect.is_careful
    assert [line.cut(9, 9) for _ in range(CUTS)] == [None] * (CUTS - 1) + [9]


def test_events_that_get_on_are_not_slowed_down() -> None:
    line = Line()
    for n in range(20):
        assert line.cut(1 + n * HARDLY, 64 + n * HARDLY) is None
        assert not line.suspect.is_careful


@pytest.mark.parametrize("how", [{"heard": False}, {"lasted": SOON_S + 1}])
def test_a_silent_broker_and_a_line_that_held_have_other_troubles(how: dict[str, float]) -> None:
    line = Line()
    assert [line.cut(9, 64, **how) for _ in range(20)] == [None] * 20  # type: ignore[arg-type]


def test_care_ends_once_what_was_on_its_way_is_through() -> None:
    line = Line()
    line.cut(5, 64)
    line.cut(5, 64)
    line.outbox.oldest = 64
    assert line.suspect.is_careful
    line.outbox.oldest = 65
    assert not line.suspect.is_careful


def test_another_event_each_time_is_nobodys_fault() -> None:
    line = Line()
    line.cut(5, 64)
    assert [line.cut(seq, seq) for seq in range(6, 30)] == [None] * 24
