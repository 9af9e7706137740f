"""Where second looks are made: aside of the loop, so that no frame ever waits for one.

    loop    ──frame──frame──frame──frame──▶        asks (a copy of the place goes along), and takes the answer later
    thread     └──look──┐  rests 3×  └──look──     one look at a time for all cameras: at most a quarter of one core

Who asks again before the answer was taken is not heard (Errand): nothing piles up. The thread has the lowest priority.
Before `start` there is no thread and a look is made at once, by who asks: a replay is the same every time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)
_REST = 3.0  # × the time that a look took
_NICE = 19
T = TypeVar("T")


class Aside:
    """One thread, or none yet."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """From now on looks are made aside."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._work, name="second-looks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """What was asked and not begun is not answered any more."""
        if self._thread:
            self._stopping.set()
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def do(self, job: Callable[[], None]) -> None:
        """Soon, or at once before `start`. What it raises is the caller's there, and logged here."""
        if self._thread is None:
            job()
        else:
            self._jobs.put(job)

    def _work(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # of this thread alone, on Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while (job := self._jobs.get()) and not self._stopping.is_set():
            begin = time.perf_counter()
            try:
                job()
            except Exception:
                log.exception("a second look failed; the next one is tried all the same")
            self._stopping.wait(_REST * (time.perf_counter() - begin))


class Errand(Generic[T]):
    """One look at a time for one who asks; it asks and takes the answer in one thread."""

    def __init__(self, aside: Aside) -> None:
        self._aside = aside
        self._answer: T | None = None
        self.is_free = True  # else the last answer is not there, or was not taken

    def ask(self, look: Callable[[], T]) -> None:
        """Have it made; only while `is_free`. A look that fails has no answer."""
        self.is_free = False
        self._aside.do(lambda: self._run(look))

    def answer(self) -> T | None:
        """What came of it; None while there is none. Each is told once."""
        found, self._answer = self._answer, None
        if found is not None:
            self.is_free = True
        return found

    def _run(self, look: Callable[[], T]) -> None:
        try:
            self._answer = look()
        except BaseException:
            self.is_free = True
            raise
