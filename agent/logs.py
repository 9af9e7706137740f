"""What the agent says to its operator: one line an event, on stderr.

Under systemd each line carries its priority (sd-daemon(3): "<4>...") and no time, journald adds its own; in a
terminal the time stands first; `json` gives an object a line for collectors. A thread of its own writes them: a
journal that hangs, or a pipe that nobody reads, costs lines and never holds up who had something to say.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import sys
import threading
import time
from typing import Literal, TextIO

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}  # syslog's
_WAITING = 1000  # lines
_FLUSH_S = 1.0


def setup(style: Literal["auto", "json"] = "auto", level: int = logging.INFO) -> None:
    """Send all logging to stderr."""
    aside = _Aside(_stderr())
    if style == "json":
        aside.setFormatter(_Json())
    elif "JOURNAL_STREAM" in os.environ:
        aside.setFormatter(_Journal("%(message)s"))
    else:
        aside.setFormatter(_Terminal("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[aside], force=True)


def flush() -> None:
    """What was said is written when this returns, unless nobody reads it: for who writes to stderr beside the log."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _stderr() -> TextIO:
    """Not the object sys.stderr where there is a file behind it: Python ends badly while a thread hangs in that."""
    try:
        return open(sys.stderr.fileno(), "w", buffering=1, errors="backslashreplace", closefd=False)
    except (OSError, ValueError):
        return sys.stderr


class _Aside(logging.Handler):
    """Hands records to a thread; those for which there is no room are counted, and the count is told."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream, self._lost = stream, 0
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(_WAITING)
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args = record.getMessage(), None  # now: what it speaks of may soon be another
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self._lost += 1

    def flush(self) -> None:
        deadline = time.monotonic() + _FLUSH_S
        while self._records.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.001)

    def close(self) -> None:
        self.flush()
        if not self._records.full():
            self._records.put_nowait(None)
        super().close()

    def _write(self) -> None:
        while record := self._records.get():
            self._put(record)
            if self._lost:
                lost, self._lost = self._lost, 0
                text = f"log: {lost} lines were lost, stderr did not take them"
                told = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
                self._put(logging.makeLogRecord(told))
            self._records.task_done()

    def _put(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):  # the reader has gone, or stderr is closed
            self._stream.write(self.format(record) + "\n")
            self._stream.flush()


class _Terminal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else text.replace(" ", f" {record.levelname.lower()}: ", 1)


class _Journal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{_PRIORITY.get(record.levelno, 6)}>"
        return "\n".join(mark + line for line in super().format(record).splitlines())


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "t": round(record.created, 3),
            "level": record.levelname.lower(),
            "room": record.name.removeprefix("agent."),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)
