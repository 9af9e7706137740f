"""Tells systemd that the agent is ready, and that it lives: only as long as its loop goes round.

One datagram, as sd_notify(3) says; where NOTIFY_SOCKET is not set nothing is sent. The pipeline calls
`beat` once a round, in its own thread. A loop that hangs in an inference or a sink therefore falls silent, and
after WatchdogSec= systemd kills the process and starts it anew. A camera that hangs does not: the supervisor owns it.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterable, Mapping

from agent.data import CameraState, Scene

log = logging.getLogger(__name__)
_BEATS = 4  # heartbeats in the time that systemd allows for one
_UNWATCHED_S = 10.0  # how often the status text is renewed where no heartbeat is asked for


class Watchdog:
    """A sink of the pipeline that says READY=1 once, then WATCHDOG=1 and STATUS=... again and again."""

    def __init__(self, cameras: Iterable[str], environ: Mapping[str, str] = os.environ) -> None:
        """`environ` holds what systemd set: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID."""
        self.ready = False
        self._address = environ.get("NOTIFY_SOCKET", "")
        asked = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        period = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if asked else 0.0  # s
        self._watched, self._every = period > 0, period / _BEATS or _UNWATCHED_S
        self._next, self._since, self._looked = time.monotonic(), time.monotonic(), 0
        self._cameras: dict[str, CameraState | None] = dict.fromkeys(cameras)

    def on_scene(self, scene: Scene) -> None:
        """The first one proves that camera, model and tracker work together."""
        self._looked += 1
        self._cameras[scene.camera] = CameraState(scene.camera, online=True, reason="")
        if not self.ready:
            self._is_ready()

    def on_camera(self, state: CameraState) -> None:
        """Once every camera is known to be away there is nothing to wait for: ready, and degraded."""
        self._cameras[state.camera] = state
        if not self.ready and all(known and not known.online for known in self._cameras.values()):
            log.warning("no camera is there; running without, each is tried again for ever")
            self._is_ready()

    def beat(self) -> None:
        """The loop went round once more."""
        now = time.monotonic()
        if now < self._next:
            return
        words = [f"STATUS={self.status(now)}"]
        if self._watched:
            words.append("WATCHDOG=1")
        self._send(*words)
        self._next, self._since, self._looked = now + self._every, now, 0

    def stopping(self) -> None:
        """The loop has ended; what follows is the goodbye."""
        self._send("STOPPING=1", "STATUS=saying goodbye")

    def status(self, now: float) -> str:
        """One line for `systemctl status`: "yard online, door offline (no such device); 9.8 frames/s looked at"."""
        rate = self._looked / max(now - self._since, 1e-3)
        told = [_told(camera, state) for camera, state in self._cameras.items()]
        return f"{', '.join(told)}; {rate:.1f} frames/s looked at" if self.ready else f"starting: {', '.join(told)}"

    def _is_ready(self) -> None:
        self.ready = True
        self._send("READY=1", f"STATUS={self.status(time.monotonic())}")

    def _send(self, *words: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        text = "\n".join(" ".join(word.splitlines()) for word in words)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(text.encode(), address)
        except OSError as error:  # systemd is busy; the next beat comes long before its patience ends
            log.debug("sd_notify %s: %s", self._address, error)


def _told(camera: str, state: CameraState | None) -> str:
    if state is None:
        return f"{camera} opening"
    return f"{camera} online" if state.online else f"{camera} offline ({state.reason})"
