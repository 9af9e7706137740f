"""The connection to the broker: one thread that connects, speaks for as long as it can, and tries again for ever.

    send() ──▶ deque ──▶ ┌────────────────┐ ◀── socket
    wake socket ───────▶ │ select, 1 thread│ ──▶ notes: Online, Offline, Acked, Refused, Received
                         └────────────────┘

All of paho runs on this one thread and each connection has a client object of its own: an exception, in a
callback or anywhere, ends that connection and no more, and no message of the last connection haunts the next.
Nothing is stored here: what was not acknowledged when a connection ends, its owner sends again.
"""

from __future__ import annotations

import contextlib
import logging
import random
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from agent import config
from agent.publish import troubles
from agent.publish.session import V5, V311, Note, Offline, Online, Outgoing, Session

log = logging.getLogger(__name__)
TAKEN_OVER_S = 15.0  # at least: two agents of one name would else throw each other out many times a second
EVICTIONS = 6  # connections that were accepted and soon cut, one after the other: somebody else has our id
STEADY_S = 30.0  # a connection that held so long was a good one: the back-off begins anew
TOLD_EVERY_S = 10.0


class Connection:
    """The thread and what it shares: `send` may be called from any thread, `note` is called on this one."""

    def __init__(
        self, options: config.Mqtt, client_id: str, will: Outgoing, subscriptions: Sequence[str],
        note: Callable[[Note], None],
    ) -> None:  # fmt: skip
        self.name = f"mqtt {options.host}:{options.port}"
        self._options, self._client_id, self._will = options, client_id, will
        self._subscriptions, self._note = subscriptions, note
        self._version = V5
        self._outgoing: deque[tuple[int, Outgoing]] = deque()
        self._generation = 0  # number of the connection there is now
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._woken = False
        self._told = float("-inf")  # s, when the last complaint was logged
        self._complained = True  # what was logged last does not hold any more once it connects
        self._stopping = threading.Event()
        self._clean = True
        self.session: Session | None = None  # the connection there is now
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def send(self, message: Outgoing, generation: int) -> None:
        """Hand over; never blocks. Lost without a note if the connection that `generation` names ends before.

        So a message that was meant for the last connection never overtakes, on the next, those to be sent again.
        """
        self._outgoing.append((generation, message))
        if not self._woken:
            self._wake()

    @property
    def backlog(self) -> int:
        """Messages that the broker's socket has not taken yet."""
        session = self.session
        return len(self._outgoing) + (session.unwritten if session else 0)

    def close(self, timeout: float, clean: bool = True) -> bool:
        """End; False if the thread did not in `timeout` s.

        `clean` says goodbye once what was sent is out; else the broker finds the line cut and speaks the will.
        """
        self._clean = clean
        self._stopping.set()
        self._wake()
        if self._thread.ident:
            self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        self._wake_reader.close()
        self._wake_writer.close()
        return True

    def _wake(self) -> None:
        self._woken = True
        with contextlib.suppress(OSError):  # full: it will wake anyway
            self._wake_writer.send(b"\0")

    def _run(self) -> None:
        failures = evictions = 0
        while not self._stopping.is_set():
            begin = time.monotonic()
            state, reason = self._connect_once()
            if self._stopping.is_set():
                return
            lasted = time.monotonic() - begin
            evictions = evictions + 1 if state == troubles.LOST and lasted < STEADY_S else 0
            if evictions >= EVICTIONS:  # an absent or restarting broker would have refused in between
                state, reason = troubles.taken_over(self._client_id)
            failures = 1 if state == troubles.LOST and lasted >= STEADY_S else failures + 1
            wait = self._pause(state, failures)
            if wait:
                self._tell(reason, wait)
            self._note(Offline(state, reason))
            self._stopping.wait(wait)

    def _pause(self, state: str, failures: int) -> float:
        """Seconds until the next attempt; longer each time, and not the same for all agents of a house."""
        if state == troubles.PROTOCOL and self._version == V5:
            self._version = V311
            return 0.0
        self._version = V5  # a broker that hung up on it once may only have been starting
        shortest, longest = self._options.retry_s
        wait: float = min(longest, shortest * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1)  # noqa: S311
        return wait + TAKEN_OVER_S if state == troubles.TAKEN_OVER else wait

    def _tell(self, reason: str, wait: float) -> None:
        if time.monotonic() - self._told >= TOLD_EVERY_S:
            self._told, self._complained = time.monotonic(), True
            log.warning("%s: %s; retrying in %.1f s", self.name, reason, wait)

    def _connect_once(self) -> tuple[str, str]:
        """One connection from its first byte to its last: (state, why it ended)."""
        self._generation += 1
        try:
            self.session = Session(self._options, self._client_id, self._will, self._version, self._generation)
            self.session.begin(self._subscriptions, self._noted)
            return self._serve(self.session)
        except Exception as error:  # whatever it was, only this connection ends
            trouble = troubles.explain(error)
            if trouble is None:
                log.debug("%s: unexpected", self.name, exc_info=True)
            return trouble or ("error", f"unexpected {type(error).__name__}: {error}")
        finally:
            if self.session:
                self.session.end(clean=False)
            self.session = None

    def _noted(self, note: Note) -> None:
        if isinstance(note, Online) and self._complained:
            self._complained = False
            log.info("%s: connected (MQTT %s)", self.name, "5" if self._version == V5 else "3.1.1")
        self._note(note)

    def _serve(self, session: Session) -> tuple[str, str]:
        while (sock := session.socket()) is not None:
            readable, writable, _ = select.select(
                [sock, self._wake_reader], [sock] if session.wants_write() else [], [], session.patience()
            )
            if self._wake_reader in readable:
                self._wake_reader.recv(4096)
                self._woken = False  # before looking into the queue: what comes from here on wakes again
            if session.online and self._outgoing:
                session.gather(True)
                while self._outgoing:
                    generation, message = self._outgoing.popleft()
                    if generation == session.generation:
                        session.publish(message)
                session.gather(False)
            session.work(read=sock in readable, write=bool(writable))
            if self._stopping.is_set() and not (self._clean and (self._outgoing or session.wants_write())):
                session.end(self._clean)
        return session.ending
