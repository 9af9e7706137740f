"""Which event a broker cuts connections on: MQTT 3.1.1 has no word for "too large", it only hangs up.

Where two connections in a row soon ended and brought events hardly further, the next ones are careful: all that was on
its way then goes one by one. An event with nothing else on its way, on which connections end again and again, is the
cause. A broker that acknowledges nothing at all, or a line that held for a while, has troubles of its own: neither
counts against the event.
"""

from __future__ import annotations

from agent.publish.outbox import Outbox

CUTS = 3  # in a row over the same event with nothing else on its way, before it is given up
SOON_S = 3.0  # a connection that held so long was not cut because of what came first
HARDLY = 64  # events, as many as are on their way at a time


class Suspect:
    """Told what the connection does, in its order."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._seq, self._alone = 0, 0  # the oldest event at the last cut; cuts on it with nothing else on its way
        self._alone_up_to = 0  # seq: events up to it go one by one
        self._began, self._heard = 0.0, False  # s, monotonic: of this connection; has the broker acknowledged anything

    @property
    def is_careful(self) -> bool:
        """Only one event may be on its way at a time."""
        return self._outbox.oldest <= self._alone_up_to

    def online(self, now: float) -> None:
        """A connection begins (s, monotonic)."""
        self._began, self._heard = now, False

    def heard(self) -> None:
        """The broker has acknowledged something."""
        self._heard = True

    def offline(self, now: float) -> int | None:
        """It ended: the event to give up, if it has been the cause often enough. Asked before the outbox rewinds."""
        oldest, before = self._outbox.oldest, self._seq
        if now - self._began >= SOON_S or oldest > self._outbox.cursor:
            self._seq = self._alone = self._alone_up_to = 0
            return None
        was_alone, self._seq = oldest <= self._alone_up_to, int(oldest)
        on_the_same = self._alone if oldest == before else 0
        self._alone = was_alone * (on_the_same + 1) if self._heard else on_the_same
        if was_alone or (before and abs(oldest - before) < HARDLY):
            self._alone_up_to = max(self._alone_up_to, self._outbox.cursor)
        return self._seq if self._alone >= CUTS else None
