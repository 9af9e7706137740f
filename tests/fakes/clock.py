"""A clock for tests: it stands where it is spoken of, so that the same bytes are written each time."""

from __future__ import annotations

from agent.publish.clock import Clock


class FixedClock(Clock):
    """Monotonic 0 is `start` (Unix s) for ever and nothing ages: what is written is the same each time."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self._start, self._latest = start, 0.0

    def monotonic(self) -> float:
        """The latest moment that was spoken of."""
        return self._latest

    def wall(self, t: float) -> float:
        """Unix s of monotonic `t`."""
        self._latest = t
        return self._start + t

    def trusted(self) -> bool:
        """Always."""
        return True
