"""The simulation's eyes: a subscriber of its own that shows what really arrives, live in a terminal or line by line.

broker ──▶ paho's thread ──▶ Heard ──▶ drawing thread, once a second ──▶ out
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from collections import deque
from types import TracebackType
from typing import Any, Self, TextIO

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from agent.data import LookoutError
from agent.sim import render
from agent.sim.heard import Heard
from agent.sim.render import Counters, Moment

_KEEPALIVE = 15  # s
_PATIENCE = 2.0  # s that the run waits for the subscription, so that the first message is seen
_SETTLE = (0.1, 1.0)  # s without a message, and at most
_HOME, _CLEAR_TO_END, _HIDE, _SHOW = "\x1b[H", "\x1b[K", "\x1b[?25l", "\x1b[?25h"
_COLOR = re.compile(r"\x1b\[\d+m")


class ViewError(LookoutError):
    """Nothing to look at: which broker, and what it said."""


class View:
    """Subscribes to `lookout/<device>/#` for the length of a `with` block and shows what comes.

    A terminal gets a view that is redrawn in place every `period` s, anything else (and TERM=dumb) a plain line;
    NO_COLOR is respected. In a terminal, log lines are shown inside the view instead of on top of it.
    A broker that is not there is tried again until the end. Raises ViewError on entry when it refuses us; nothing
    that the view receives makes it fail.
    """

    def __init__(
        self, host: str, port: int, device: str, *,
        out: TextIO | None = None, is_tty: bool | None = None, period: float = 1.0,
    ) -> None:  # fmt: skip
        self.heard = Heard(device)
        self._host, self._port, self._period = host, port, period
        self._out: TextIO | None = out or sys.stdout
        self._tty = (self._out.isatty() if is_tty is None else is_tty) and os.environ.get("TERM", "dumb") != "dumb"
        self._color = self._tty and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()  # over heard
        self._subscribed, self._stopping = threading.Event(), threading.Event()
        self._refused = ""
        self._client = self._new_client()
        self._drawer = threading.Thread(target=self._draw_until_stopped, name="view", daemon=True)
        self._logs = _Notes()
        self._began = self._ended = time.monotonic()

    @property
    def command(self) -> str:
        """What to type in another window to see the same messages."""
        port = "" if self._port == 1883 else f" -p {self._port}"
        return f"mosquitto_sub -h {self._host}{port} -t 'lookout/{self.heard.device}/#' -v"

    def __enter__(self) -> Self:
        self._subscribe()
        self._began = time.monotonic()
        self._write(f"Try in another window: {self.command}\n")
        if self._tty:
            self._logs.take_over()
            self._write("\n" * _size(self._out)[1] + _HIDE)  # what stood here scrolls up and stays
            self._draw()
        self._drawer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._settle()
        self._ended = time.monotonic()
        self._stopping.set()
        self._drawer.join()
        self._hang_up()
        if self._tty:  # the last view stays; by now there is only the agent's goodbye to see
            self._write(_SHOW)
            self._logs.give_back()

    def finish(self, counters: Counters) -> int:
        """Print the summary; the exit code: 0, or 1 (and one line that says so) if nothing was received."""
        seconds = self._ended - self._began
        if not self.heard.live:
            topic = f"lookout/{self.heard.device}/#"
            self._write(
                f"nothing was received on {topic} from {self._host}:{self._port} in {seconds:.1f} s;"
                f" the agent counted {render.plural(counters.frames, 'frame')}\n"
            )
            return 1
        lines = render.summary(self.heard, counters, seconds)
        self._write("\n" * self._tty + "".join(f"{line}\n" for line in lines))
        return 0

    def _settle(self) -> None:
        """Let arrive what the agent has already sent."""
        deadline, known = time.monotonic() + _SETTLE[1], -1
        while known != self.heard.messages and time.monotonic() < deadline:
            known = self.heard.messages
            time.sleep(_SETTLE[0])

    def _new_client(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2)  # MQTT 3.1.1: every broker speaks it
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_message = self._on_message
        return client

    def _subscribe(self) -> None:
        """Ask for everything of the device. A broker that is not there (yet) is tried again until the end."""
        self._client.reconnect_delay_set(1, 5)
        self._client.connect_async(self._host, self._port, _KEEPALIVE)
        self._client.loop_start()
        self._subscribed.wait(_PATIENCE)
        if self._refused:
            self._hang_up()
            raise ViewError(f"broker {self._host}:{self._port}: {self._refused}; nothing can be shown")

    def _hang_up(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.disconnect()  # again, for a connection that was made anew in between

    def _on_connect(self, client: Client, _user: object, _flags: object, code: ReasonCode, _properties: object) -> None:
        if code.is_failure:
            self._refused = f"connection refused ({code})"
            self._subscribed.set()
        else:
            client.subscribe(f"lookout/{self.heard.device}/#", qos=1)  # anew after each reconnect

    def _on_subscribe(self, _client: Client, _user: object, _mid: int, codes: list[ReasonCode], _props: object) -> None:
        if codes[0].is_failure:
            self._refused = f"subscription refused ({codes[0]})"
        self._subscribed.set()

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        now, wall = time.monotonic(), time.time()
        topic = message.topic
        with self._lock:
            self.heard.take(topic, bytes(message.payload), message.retain, now, wall)

    def _draw_until_stopped(self) -> None:
        while not self._stopping.wait(self._period):
            self._draw()

    def _draw(self) -> None:
        size = _size(self._out)
        where, note = f"{self._host}:{self._port}", self._logs.latest
        moment = Moment(time.monotonic(), time.strftime("%H:%M:%S"), where, self.command, size, self._color, note)
        with self._lock:
            lines = render.screen(self.heard, moment) if self._tty else [render.plain_line(self.heard, moment)]
        if not self._tty:
            self._write(f"{lines[0]}\n")
            return
        self._write(_HOME + "".join(_row(line, size[0]) for line in lines))

    def _write(self, text: str) -> None:
        if self._out is None:
            return
        encoding = self._out.encoding or "utf-8"
        try:
            self._out.write(text.encode(encoding, "replace").decode(encoding))
            self._out.flush()
        except (OSError, ValueError):  # the reader has gone, as `| head` does; the run goes on
            self._out = None


class _Notes(logging.Handler):
    """Stands in for the log handlers that would write across the view; what mattered is told when it closes."""

    def __init__(self) -> None:
        super().__init__()
        self.latest = ""
        self._displaced: list[logging.Handler] = []
        self._kept: deque[logging.LogRecord] = deque(maxlen=50)

    def take_over(self) -> None:
        root = logging.getLogger()
        self._displaced = [handler for handler in root.handlers if _is_on_screen(handler)]
        for handler in self._displaced:
            root.removeHandler(handler)
            self.setFormatter(handler.formatter)
        if self._displaced:
            root.addHandler(self)

    def give_back(self) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        for handler in self._displaced:
            root.addHandler(handler)
            for record in self._kept:
                handler.handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        self.latest = self.format(record).partition("\n")[0]
        if record.levelno >= logging.WARNING:
            self._kept.append(record)


def _row(line: str, width: int) -> str:
    """`line`, the rest of its row cleared; where it fills the row, clearing would eat its last character."""
    length = render.columns(_COLOR.sub("", line))
    return f"{line}\n" if length and length % width == 0 else f"{line}{_CLEAR_TO_END}\n"


def _is_on_screen(handler: logging.Handler) -> bool:
    stream: Any = getattr(handler, "stream", None)
    return isinstance(handler, logging.StreamHandler) and hasattr(stream, "isatty") and bool(stream.isatty())


def _size(out: TextIO | None) -> tuple[int, int]:
    """(columns, rows) of the terminal behind `out`; 80 x 24 where there is none or it does not know."""
    try:
        columns, rows = os.get_terminal_size(out.fileno()) if out else (0, 0)
    except (OSError, ValueError):
        columns = rows = 0
    return columns or 80, rows or 24
