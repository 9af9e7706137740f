"""Slower when hot: a step up while the board is too hot or held back, a step down once it has cooled.

                 ╭──────── slow_c: a step up, then `settle_s` for it to show
    °C  ─────────┼────────────
        ─────────┼──────────── cool_c: a step down
    level  0 → 1 → 2 → 3       the pause between two looks is 1, 2, 4, 8 times the usual; from 2 on a frame has
                               half the crops; at 3 the model has one thread

Between the two marks nothing changes, so the rate does not swing. The firmware throttles at 80 °C (a Pi 3B+ at
60) and then halves the clock for everything; slowing down before it keeps the latency of what is still looked at.
"""

from __future__ import annotations

import logging

from agent import config
from agent.device.health import Health

log = logging.getLogger(__name__)
MAX_LEVEL = 3
_FEWER_CROPS = 2  # level
_HELD_BACK = {"throttled", "soft temperature limit"}  # by heat; under-voltage is not mended by looking less often


class Thermal:
    """The level, and when it last changed."""

    def __init__(self, options: config.Thermal) -> None:
        self.level = 0
        self._options, self._changed = options, float("-inf")

    @property
    def slow_by(self) -> float:
        """Times the usual pause between two looks."""
        return float(2**self.level)

    @property
    def fewer_crops(self) -> bool:
        """Whether a frame should have half the crops."""
        return self.level >= _FEWER_CROPS

    @property
    def one_thread(self) -> bool:
        """Whether the model should have a single thread."""
        return self.level >= MAX_LEVEL

    def update(self, health: Health, now: float) -> int:
        """The level for what the board says at `now` (monotonic s). A board that tells nothing is never slowed."""
        options = self._options
        if not options.enabled or now - self._changed < options.settle_s:
            return self.level
        held = _HELD_BACK & set(health.throttling or ())
        degrees = health.soc_c
        if held or (degrees is not None and degrees >= options.slow_c):
            self._step(+1, now, degrees, held)
        elif degrees is None or degrees <= options.cool_c:
            self._step(-1, now, degrees, held)
        return self.level

    def _step(self, by: int, now: float, degrees: float | None, held: set[str]) -> None:
        level = min(MAX_LEVEL, max(0, self.level + by))
        if level == self.level:
            return
        why = f"{degrees:.0f} °C" if degrees is not None else "no temperature"
        why += f", {', '.join(sorted(held))}" if held else ""
        log.warning("thermal: level %d -> %d (%s); looking %g times as seldom", self.level, level, why, 2**level)
        self.level, self._changed = level, now
