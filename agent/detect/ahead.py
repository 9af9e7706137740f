"""Inference in a thread of its own: what one frame's gave is read while that of the next one runs.

    interpreter        ├──── invoke n ────┤         ├─── invoke n+1 ───┤
    loop      fill n ──┤ read n-1, tracks,│ fill n+1┤ read n, tracks,  │ fill n+2 ...
                       │ MQTT; then waits │         │ MQTT; then waits │

One inference runs at a time and none waits: the frame that follows is chosen when the one before is through, so that
it is the newest there is, and its age stays within one inference and one frame period. For whole frames only: which
crops of a frame are worth looking at is known when the tracks of the one before are.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from agent.data import Array, Frame
from agent.detect.backends import Backend
from agent.detect.letterbox import Placement

_Answer = tuple[list[Array], float]  # the outputs, ms


@dataclass(slots=True, eq=False)
class Begun:
    """One frame under way; while another one is, the outputs of this one are kept for it."""

    frame: Frame
    placement: Placement
    letterbox_ms: float
    _running: Future[_Answer] | None
    _kept: list[Array]
    _ms: float = 0.0

    def wait(self) -> _Answer:
        """Its outputs, valid until the next frame's `wait`, and ms of inference. Raises what the backend raised."""
        if self._running:
            running, self._running = self._running, None  # no view of the interpreter's memory may stay
            outputs, ms = running.result()
            if [kept.shape for kept in self._kept] != [output.shape for output in outputs]:
                self._kept[:] = [np.empty_like(output) for output in outputs]
            for kept, output in zip(self._kept, outputs, strict=True):
                np.copyto(kept, output)  # the interpreter is about to write there again
            self._ms = ms
        return self._kept, self._ms


class Ahead:
    """The thread of one backend; it ends with this."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self._thread = backend, ThreadPoolExecutor(1, "inference")
        self._kept: list[Array] = []

    def begin(self, frame: Frame, placement: Placement, letterbox_ms: float) -> Begun:
        """Run the backend, whose input holds the frame; whatever was begun before was waited for."""
        return Begun(frame, placement, letterbox_ms, self._thread.submit(self._run), self._kept)

    def use(self, threads: int) -> None:
        """Another number of threads for the backend, once it is through with what was begun. Raises ModelError."""
        self._thread.submit(self._backend.use, threads).result()

    def _run(self) -> _Answer:
        begin = perf_counter()
        outputs = self._backend.run()
        return outputs, (perf_counter() - begin) * 1e3
