"""What the loop does for the board once a round: heartbeat, a look at its health, slower when hot; memory back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from agent import heap
from agent.device.health import Board, Health
from agent.device.thermal import Thermal
from agent.device.watchdog import Watchdog

LOOK_S = 5.0
_COLLECT_S = 60.0  # garbage is collected so often
_STANDING_IN = 2.0  # times the usual pause between two looks while the processor stands in for an accelerator


class Tally(Protocol):
    """What the loop counts."""

    frames: int
    dropped: int

    def mean_ms(self) -> Mapping[str, float]:
        """ms per stage of a mean frame."""
        ...


class Loop(Protocol):
    """What is slowed; the pipeline is one."""

    slow_by: float

    @property
    def tally(self) -> Tally:
        """What it did since it began."""
        ...


class Duty:
    """Called as the pipeline's `beat`; those in `tell` receive the health every few seconds, in the loop's thread."""

    def __init__(
        self,
        loop: Loop,
        watchdog: Watchdog,
        thermal: Thermal,
        *,
        board: Board | None = None,
        runs_on: Callable[[], str] = lambda: "",
        spare: Callable[[bool, bool], object] = lambda *_: None,
        tell: Iterable[Callable[[Health], object]] = (),
    ) -> None:
        """`runs_on` says what computes now; a processor that stands in for a lost accelerator is spared.

        `spare` hears after each look at the board whether frames should have fewer crops and the model one thread.
        """
        self._loop, self._watchdog, self._thermal, self._runs_on = loop, watchdog, thermal, runs_on
        self._board, self._spare, self._tell = board or Board(), spare, tuple(tell)
        self._looked, self._frames = time.monotonic(), 0
        self._collected = self._looked

    def __call__(self) -> None:
        """One round of the loop is over."""
        self._watchdog.beat()
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        health, tally = self._board.look(), self._loop.tally
        level = self._thermal.update(health, now)
        runs_on = self._runs_on()
        self._loop.slow_by = self._thermal.slow_by * (_STANDING_IN if "lost" in runs_on else 1.0)
        self._spare(self._thermal.fewer_crops, self._thermal.one_thread)
        health = msgspec.structs.replace(
            health,
            runs_on=runs_on,
            thermal_level=level,
            fps=(tally.frames - self._frames) / (now - self._looked),
            dropped=tally.dropped,
            stage_ms=dict(tally.mean_ms()),
        )
        for told in self._tell:
            told(health)
        if now - self._collected >= _COLLECT_S:
            heap.collect()
            self._collected = now
        else:
            heap.give_back()
        self._looked, self._frames = now, tally.frames
