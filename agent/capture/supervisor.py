"""Runs one camera in a thread of its own, and never gives up on it.

A camera that raises is reopened with a growing pause. One that is silent for `stale_s`, or whose picture has
not changed by a single grey level for that long though its sensor is noisy, is given up: a read that hangs in
C cannot be cancelled, so its thread is abandoned and counted, and a new one opened. Once three such threads hang,
or one has kept the camera from being opened again for a minute, `check` raises, the process ends and systemd
starts it afresh.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from agent.capture.cameras import CameraError
from agent.capture.mailbox import Mailbox
from agent.capture.privacy import Cover
from agent.data import CameraState, Frame, redacted

log = logging.getLogger(__name__)
_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)  # before reopening; the last one for ever
_STEADY_S = 30.0  # a camera that worked for so long starts again with the shortest pause
_MAX_ABANDONED = 3
_HELD_S = 60.0  # a thread that hangs may hold the device: it is busy for as long as this process lives
_SAMPLE = 8  # px; the picture is compared on every 8th pixel of every 8th row


class Supervisor:
    """Keeps one camera running; `frames` opens it anew each time it is called."""

    def __init__(
        self,
        camera: str,
        frames: Callable[[], Iterator[Frame]],
        mailbox: Mailbox,
        *,
        stale_s: float,
        live: bool,
        noisy: bool,
        cover: Cover | None = None,
    ) -> None:
        self.camera = camera
        self._hanging: list[_Run] = []  # threads that were abandoned in a read
        self._failures = 0  # openings in a row that soon ended in an error
        self._frames, self._mailbox = frames, mailbox
        self._stale_s, self._live, self._noisy, self._cover = stale_s, live, noisy, cover or Cover()
        self._online: bool | None = None
        self._t = float("-inf")  # s, the last frame's
        self._run = _Run()

    @property
    def abandoned(self) -> int:
        """Threads that hang in a read; one that comes round after all ends by itself."""
        self._hanging = [run for run in self._hanging if run.thread.is_alive()]
        return len(self._hanging)

    def start(self) -> None:
        """Open the camera in a new thread."""
        run = self._run = _Run()
        run.thread = threading.Thread(target=self._work, args=(run,), name=f"capture-{self.camera}", daemon=True)
        run.thread.start()

    def stop(self) -> None:
        """No frame comes any more; the thread ends when its read does, and nobody waits for one that hangs."""
        with self._cover:
            self._run.stop.set()

    def check(self, now: float) -> None:
        """Called by the pipeline between frames: notice silence and a frozen picture.

        Raises CameraError once three threads hang in the camera's driver, or one keeps the camera to itself.
        """
        run = self._run
        if self._hanging and not self._online and self.abandoned and now - self._hanging[-1].alive > _HELD_S:
            raise CameraError(f"camera {self.camera}: held by a read that hangs in its driver; exiting to be restarted")
        if run.done or now - (run.changed if self._noisy else run.alive) <= self._stale_s:
            return
        silent = now - run.alive > self._stale_s  # one with a frozen picture still comes round and ends by itself
        what = "no frame" if silent else "the same picture"
        run.stop.set()
        if silent:
            self._hanging.append(run)
        self._tell(False, f"{what} for {self._stale_s:g} s")
        if self.abandoned >= _MAX_ABANDONED:
            raise CameraError(
                f"camera {self.camera}: {self.abandoned} reads hang in its driver; exiting to be restarted"
            )
        log.warning("camera %s: %s for %g s; opening it anew", self.camera, what, self._stale_s)
        self.start()

    def _work(self, run: _Run) -> None:
        while not run.stop.is_set():
            try:
                self._read(run)
            except Exception as error:  # a camera's driver may raise anything; none of it may end the thread
                if run.stop.is_set():
                    return
                if not self._live:
                    run.done = True
                    self._mailbox.fail(error)
                    return
                self._failed(run, error)
            else:
                run.done = True
                if not run.stop.is_set():
                    self._mailbox.finish(self.camera)
                return

    def _read(self, run: _Run) -> None:
        run.opened = time.monotonic()
        for given in self._frames():
            if run.stop.is_set():
                return
            frame = self._stamped(given)
            if run.size not in (None, frame.size):
                log.info("camera %s: its picture is now %dx%d, was %dx%d", self.camera, *frame.size, *run.size)
            run.saw(frame, self._noisy)
            if run.alive - run.opened > _STEADY_S:
                self._failures = 0
            self._tell(True, "")
            with self._cover:
                if run.stop.is_set():
                    return
                self._cover.paint(frame)
                self._mailbox.put(self.camera, frame)

    def _stamped(self, frame: Frame) -> Frame:
        """A live camera whose stamp is of the future, or no later than the one before, is stamped as it arrives."""
        now = time.monotonic()
        if not self._live or self._t < frame.t <= now:
            self._t = frame.t
            return frame
        self._t = max(now, self._t + 1e-6)
        return replace(frame, t=self._t)

    def _failed(self, run: _Run, error: Exception) -> None:
        pause = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
        self._failures += 1
        known = isinstance(error, CameraError)
        text = str(error) if known else redacted(f"camera {self.camera}: {type(error).__name__}: {error}")
        self._tell(False, text)
        log.warning("%s; opening it again in %g s (attempt %d)", text, pause, self._failures + 1)
        deadline = time.monotonic() + pause
        while not run.stop.is_set() and time.monotonic() < deadline:
            run.alive = run.changed = time.monotonic()  # waiting is not hanging
            run.stop.wait(min(0.2, pause))

    def _tell(self, online: bool, reason: str) -> None:
        if online != self._online:
            self._online = online
            self._mailbox.tell(CameraState(self.camera, online, reason))


class _Run:
    """One capture thread's signs of life, written by it and read by `check`."""

    thread: threading.Thread

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.done = False
        self.alive = self.changed = time.monotonic()  # s: last frame; last frame that differed from the one before
        self.opened = self.alive  # s
        self.size: tuple[int, int] | None = None  # (width, height) px of the last frame
        self._picture = 0  # crc32 of the last picture's sample

    def saw(self, frame: Frame, noisy: bool) -> None:
        self.alive, self.size = time.monotonic(), frame.size
        if noisy:
            picture = zlib.crc32(frame.image[::_SAMPLE, ::_SAMPLE, 1].tobytes())
            if picture != self._picture:
                self._picture, self.changed = picture, self.alive
