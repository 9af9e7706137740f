"""The publisher's thread: scenes and the connection's notes in; topics asked, events stored, messages sent.

inbox ──▶ topics ──▶ Live ─────────────────────▶ connection
                ├──▶ State ──▶ retained ───────▶     │
                └──▶ Durable ─▶ outbox, commit ▶     │
inbox ◀── Online, Offline, Acked, Refused ◀──────────┘
"""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from agent.data import CameraState, Event, Scene
from agent.device.health import Health
from agent.publish import JSON, Durable, Live, Message, Order, Received, Scope, State, Topic, payloads, wire
from agent.publish.mqtt import Connection
from agent.publish.outbox import Outbox
from agent.publish.retained import Retained
from agent.publish.session import Acked, Note, Offline, Online, Outgoing, Refused, Unheard
from agent.publish.suspect import Suspect

log = logging.getLogger(__name__)
WINDOW = 64  # QoS 1 messages in flight; more is slower (paho walks its list)
TICK_S = 0.25
_BACKLOG = 32  # messages that wait for the broker's socket before Live ones are dropped, or wait for it (QoS 1)
_REFUSED_PAUSE_S = 30.0  # a broker that refuses events (access list, quota) is asked again after this
_REPORT_S = 1.0  # what was given up is told at most so often
_GOODBYE_S = 1.0  # of the time to close, what the last "offline" needs
_OVERHEAD = 128  # bytes of a packet beside topic and payload, at most
_GAP_PRIORITY = 9
_UNSENDABLE, _CUT_OFF = "too large for the broker", "the broker cuts the connection on it"


@dataclass(frozen=True, slots=True)
class Stop:
    """No more will come; send what can be sent until `deadline` (s, monotonic)."""

    deadline: float
    forget: Callable[[str], bool] = lambda _: False  # retained topics on which nobody will speak any more


@dataclass(frozen=True, slots=True)
class Answer:
    """An order was carried out, or why not."""

    order: Order
    refusal: str


Item = Scene | CameraState | Health | Event | Answer | Note | Stop


class Writer:
    """All state of publishing but the socket; `run` is the thread."""

    def __init__(
        self, scope: Scope, topics: Mapping[str, Topic], outbox: Outbox, connection: Connection,
        inbox: queue.SimpleQueue[Item],
    ) -> None:  # fmt: skip
        self.stats = scope.stats()
        self.scenes_done = 0
        self.said_goodbye = False
        self._scope, self._topics, self._outbox, self._connection = scope, topics, outbox, connection
        self._inbox = inbox
        self._status = scope.topic("status")
        self._retained = Retained()
        self._retained.put(State(self._status, b"online"))
        self._online: Online | None = None
        self._answers: deque[Outgoing] = deque()  # Live, but QoS 1: they wait for room, in the window and the socket
        self._results: deque[Answer] = deque(maxlen=16)  # that nobody could be told of yet
        self._suspect = Suspect(outbox)
        self._in_flight = 0  # QoS 1 messages without an answer
        self._paused_until = self._reported = self._ticked = float("-inf")  # s, monotonic

    def run(self) -> None:
        """Until Stop came and everything is out, or its deadline has come."""
        stop: Stop | None = None
        self._outbox.open()
        while stop is None or not self._is_done(stop):
            try:
                stop = self._take() or stop
                now = time.monotonic()
                if now - self._ticked >= TICK_S:
                    self._ticked = now
                    self._tell("tick", now)
                self._report(now)
                if self._outbox.due() <= 0:
                    self._outbox.commit()
                self._send(now)
                self._tally()
            except Exception:  # the pipeline goes on without this message rather than without this thread
                self.stats.errors += 1
                log.exception("publisher: unexpected")
        self._outbox.close()
        self._tally()

    def _take(self) -> Stop | None:
        """Work through what is in the inbox; for the first item wait until something else is due."""
        wait = min(TICK_S, self._outbox.due())
        for _ in range(WINDOW):
            try:
                item = self._inbox.get(timeout=wait) if wait > 0 else self._inbox.get_nowait()
            except queue.Empty:
                return None
            wait = 0.0
            match item:
                case Scene():
                    self.scenes_done += 1
                    self._tell("scene", item)
                case CameraState(camera, online):
                    self._tell("camera", camera, online)
                case Health():
                    self._tell("health", item)
                case Event(kind, t, _, source, _, detail):
                    self._append(kind, detail, t, source)
                case Answer():
                    self._results.append(item)
                    self._give_results()
                case Stop():
                    return item
                case _:
                    self._noted(item)
        return None

    def _tell(self, what: str, *arguments: Any, heard: Callable[[Topic], bool] = lambda _: True) -> None:
        """Ask every topic, and dispatch its answer; one that raises costs only its own answer."""
        for name, topic in self._topics.items():
            if not heard(topic):
                continue
            try:
                self._dispatch(getattr(topic, what)(*arguments))
            except Exception:
                self.stats.errors += 1
                log.exception("topic %s: failed on %s, going on without this one", name, what)

    def _dispatch(self, messages: Iterable[Message]) -> None:
        for message in messages:
            match message:
                case Live():
                    self._send_live(message)
                case State():
                    self._retained.put(message)
                case Durable(topic, draft, priority):
                    self._outbox.append(topic, partial(_numbered, draft), priority)

    def _noted(self, note: Note) -> None:
        match note:
            case Online():
                self._online, self.stats.state, self.stats.reason = note, "online", ""
                self._in_flight, self._paused_until = 0, float("-inf")
                self._suspect.online(time.monotonic())
                self._answers.clear()
                self._outbox.rewind()
                self._retained.forget_connection()
                self._tell("connected")
                self._give_results()
            case Offline(state, reason):
                if cause := self._suspect.offline(time.monotonic()):
                    log.error("mqtt: the broker cut several connections on event %d; given up", cause)
                    self._outbox.give_up(cause, _CUT_OFF)
                self._online, self.stats.state, self.stats.reason = None, state, reason
            case Acked(tokens):
                self.stats.acked += len(tokens)
                self._suspect.heard()
                for token in tokens:
                    self._answered(token)
            case Refused(token, reason):
                self._refused(token, reason)
            case Unheard(topic, reason):
                log.warning("mqtt: the broker does not let this device listen to %s: %s", topic, reason)
            case Received():
                self._tell("received", note, heard=lambda topic: topic.hears_retained or not note.retained)

    def _give_results(self) -> None:
        """Of orders; whoever asked may be gone while there is no broker, but may also just be waiting."""
        while self._online and self._results:
            answer = self._results.popleft()
            self._tell("answered", answer.order, answer.refusal)

    def _answered(self, token: object) -> None:
        self._in_flight -= 1
        if isinstance(token, int):
            self._outbox.acked(token)
        elif isinstance(token, str):
            self._retained.answered(token)

    def _refused(self, token: object, reason: str) -> None:
        """What is not events is over; events wait for an access list to be mended or a quota to end."""
        log.warning("mqtt: the broker refused a message: %s; trying again in %.0f s", reason, _REFUSED_PAUSE_S)
        self._in_flight -= 1
        if isinstance(token, str):
            self._retained.answered(token)
        self._paused_until = time.monotonic() + _REFUSED_PAUSE_S
        self._outbox.rewind()

    def _report(self, now: float) -> None:
        """Events about the outbox itself: damage at once, losses when the broker is there to hear of them."""
        while self._outbox.reports:
            self._append(*self._outbox.reports.pop(0), now, "outbox")
        if self._online and now - self._reported >= _REPORT_S:
            self._reported = now
            for loss in self._outbox.losses():
                self._append("gap", msgspec.structs.asdict(loss), now, "outbox", explains=loss.reason)

    def _append(self, kind: str, detail: Mapping[str, Any], now: float, source: str, explains: str = "") -> None:
        """An event of the device itself."""
        draft = wire.event(Event(kind, now, 0, source, None, detail), None, (1, 1), self._scope.sender)
        self._outbox.append(self._scope.topic("events"), partial(_numbered, draft), _GAP_PRIORITY, explains)

    def _send_live(self, message: Live) -> None:
        too_large = self._online and len(message.payload) + _OVERHEAD > self._online.max_packet
        before = len(self._answers) + (0 if message.qos else self._connection.backlog)
        if self._online is None or too_large or before >= _BACKLOG:
            self.stats.dropped += 1
            return
        out = Outgoing(
            *(message.topic, message.payload, message.qos),
            content_type=message.content_type,
            correlation=message.correlation,
        )
        if message.qos:
            self._answers.append(out)
        else:
            self._out(out)

    def _send(self, now: float) -> None:
        """Answers first, then states, then events, as far as the window reaches."""
        if self._online is None:
            return
        window = min(WINDOW, self._online.window)
        while self._answers and self._in_flight < window and self._connection.backlog < _BACKLOG:
            self._in_flight += 1
            self._out(self._answers.popleft())
        for state in self._retained.take(max(0, window - self._in_flight)):
            self._in_flight += 1
            self._out(Outgoing(state.topic, state.payload, 1, True, state.topic, content_type=state.content_type))
        if self._suspect.is_careful:
            window = 1
        room = window - self._in_flight
        if now < self._paused_until or room < window // 4:  # a few at a time cost more than all at once
            return
        for row in self._outbox.unsent(room):
            if len(row.body) + len(row.topic) + _OVERHEAD > self._online.max_packet:
                self._outbox.give_up(row.seq, _UNSENDABLE)
                continue
            self._in_flight += 1
            clock = self._scope.sender.clock
            left_min = int(row.expires - clock.wall(now)) // 60 if row.expires else 0  # few values: each is packed once
            expiry = max(1, left_min) * 60 if row.expires else None
            self._out(Outgoing(row.topic, row.body, 1, token=row.seq, content_type=JSON, expiry_s=expiry))

    def _out(self, message: Outgoing) -> None:
        assert self._online
        self._connection.send(message, self._online.generation)
        self.stats.published += 1

    def _tally(self) -> None:
        self.stats.waiting, self.stats.given_up = len(self._outbox), self._outbox.dropped
        self.stats.outbox_trouble = self._outbox.trouble

    def _is_done(self, stop: Stop) -> bool:
        """Everything is answered, the last "offline" too; or there is no time or no broker left for it."""
        now = time.monotonic()
        if self._online is None or now >= stop.deadline:
            return True
        if self._retained[self._status].payload == b"offline":
            self.said_goodbye = self._retained.is_settled
            return self.said_goodbye
        if now >= stop.deadline - _GOODBYE_S:
            self._paused_until = float("inf")  # what is still in the outbox has to wait for the next start
        elif self._in_flight or len(self._outbox):
            return False
        self._tell("closing")
        self._retained.remove(lambda topic: topic != self._status and stop.forget(topic))
        self._retained.put(State(self._status, b"offline"))
        return False


def _numbered(draft: payloads.EventMessage | payloads.AnomalyMessage, seq: int) -> bytes:
    return wire.encode(msgspec.structs.replace(draft, seq=seq))
