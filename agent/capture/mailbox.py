"""The one-slot, newest-wins hand-over between capture threads and the pipeline.

A slot a camera: a frame that comes before the last one was taken replaces it, and the drop is counted. The
pipeline takes the oldest waiting frame of all cameras, so a fast camera cannot starve a slow one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from agent.data import CameraState, Frame


class Mailbox:
    """Slots for the newest frame of each camera, and the cameras' coming and going in order."""

    def __init__(self, cameras: Iterable[str]) -> None:
        self._slots: dict[str, Frame] = {}
        self._open = set(cameras)
        self._changed = threading.Condition()
        self._states: deque[CameraState] = deque()
        self._error: Exception | None = None
        self.dropped = dict.fromkeys(self._open, 0)  # frames replaced before anyone looked, by camera

    def add(self, camera: str) -> None:
        """A camera more, or one that is opened anew."""
        with self._changed:
            self._open.add(camera)
            self.dropped.setdefault(camera, 0)

    def remove(self, camera: str) -> None:
        """A camera less; its drops stay counted."""
        with self._changed:
            self._open.discard(camera)
            self._slots.pop(camera, None)

    def discard(self, camera: str) -> None:
        """What waits there is not wanted any more; no drop: it was not replaced."""
        with self._changed:
            self._slots.pop(camera, None)

    def put(self, camera: str, frame: Frame) -> None:
        """Leave a frame; one that still waits there is dropped and counted. Never blocks."""
        with self._changed:
            if camera in self._slots:
                self.dropped[camera] += 1
            self._slots[camera] = frame
            self._changed.notify()

    def tell(self, state: CameraState) -> None:
        """Leave word that a camera came or went."""
        with self._changed:
            self._states.append(state)
            self._changed.notify()

    def finish(self, camera: str) -> None:
        """A camera's source has ended for good; what waits in its slot is still handed out."""
        with self._changed:
            self._open.discard(camera)
            self._changed.notify()

    def fail(self, error: Exception) -> None:
        """Trouble that no reopening mends; raised from `take` in the pipeline's thread."""
        with self._changed:
            self._error = error
            self._changed.notify()

    @property
    def ended(self) -> bool:
        """All sources have ended and all they left is handed out."""
        with self._changed:
            return not (self._open or self._slots or self._states or self._error)

    def take(self, timeout: float) -> tuple[str, Frame] | CameraState | None:
        """The next word or the oldest waiting frame; None after `timeout` s without either, or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._slots or self._states or self._error or not self._open, timeout)
            if self._error:
                raise self._error
            if self._states:
                return self._states.popleft()
            if self._slots:
                camera = min(self._slots, key=lambda name: self._slots[name].t)
                return camera, self._slots.pop(camera)
            return None
