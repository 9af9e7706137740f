"""Wall time for the wire: monotonic seconds -> UTC, whether that clock can be trusted, and ids made from it."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from functools import lru_cache

from agent.device.health import clock_synchronised

_ASKED_EVERY_S = {False: 10.0, True: 60.0}  # while the clock is not right, while it is


class Clock:
    """The machine's clocks. A wall clock that is set jumps; the offset is therefore taken anew for every message."""

    def __init__(self) -> None:
        self._asked, self._trusted = float("-inf"), False

    def monotonic(self) -> float:
        """Now, monotonic s."""
        return time.monotonic()

    def wall(self, t: float) -> float:
        """Unix s of monotonic `t`."""
        return time.time() - (time.monotonic() - t)

    def trusted(self) -> bool:
        """Whether something (NTP, GPS) keeps the wall clock right: a board without a clock chip boots in the past."""
        now = time.monotonic()
        if now - self._asked >= _ASKED_EVERY_S[self._trusted]:
            self._asked, self._trusted = now, clock_synchronised()
        return self._trusted


def rfc3339(unix_s: float) -> str:
    """1700000000.5 -> "2023-11-14T22:13:20.500Z"."""
    second, ms = divmod(round(unix_s * 1000), 1000)
    return f"{_second(second)}.{ms:03d}Z"


@lru_cache(maxsize=16)
def _second(unix_s: int) -> str:
    """1700000000 -> "2023-11-14T22:13:20"; the events of one second share it."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat()[:19]


def uuid7(unix_s: float) -> str:
    """A UUID that sorts by the time it was made (RFC 9562, 5.7): 48 bits of ms, 4 of version, the rest random."""
    digits = f"{int(unix_s * 1000) & ((1 << 48) - 1):012x}7{random.getrandbits(76):019x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{variant}{digits[17:20]}-{digits[20:]}"
