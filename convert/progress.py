"""How far a long step is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agent.data import Array

log = logging.getLogger(__name__)
_WIDTH = 24  # characters of the bar
_SILENT = 15.0  # s between lines where there is no terminal


class Progress:
    """Counts the parts of one step; `with Progress("search", 32) as progress: ... progress.tick()`."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._start = self._told = time.monotonic()
        self._bar = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)  # noqa: T201

    def tick(self) -> None:
        """One part is done."""
        self._done += 1
        now = time.monotonic()
        left = (now - self._start) / self._done * max(0, self._total - self._done)
        if self._bar:
            full = min(_WIDTH, _WIDTH * self._done // self._total)
            bar = "#" * full + "." * (_WIDTH - full)
            line = f"\r\x1b[K{self._what:10} {bar} {self._done}/{self._total}, {left:.0f} s left"
            print(line, end="", file=sys.stderr, flush=True)  # noqa: T201
        elif now - self._told > _SILENT:
            self._told = now
            log.info("%-10s %d of %d, %.0f s left", self._what, self._done, self._total, left)

    def counting(self, read: Callable[[Path], Array]) -> Callable[[Path], Array]:
        """A reader of pictures that ticks at each."""

        def reading(path: Path) -> Array:
            self.tick()
            return read(path)

        return reading
