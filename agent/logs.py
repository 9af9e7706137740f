"""What the agent says to its operator: one line an event, on stderr.

Under systemd each line carries its priority (sd-daemon(3): "<4>...") and no time, journald adds its own; in a
terminal the time stands first; `json` gives an object a line for collectors.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Literal

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}  # syslog's


def setup(style: Literal["auto", "json"] = "auto", level: int = logging.INFO) -> None:
    """Send all logging to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    if style == "json":
        handler.setFormatter(_Json())
    elif "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_Journal("%(message)s"))
    else:
        handler.setFormatter(_Terminal("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


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
