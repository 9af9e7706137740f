"""How the board fares: temperature, throttling in words, processor, memory, uptime, clock -> one struct.

Everything is read from /proc, /sys and /run; their places are parameters, so that a test can bring trees of its
own. What a board does not tell is None, never a guess.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from agent.libc import libc

# The firmware's word: bits 0..3 hold now, 16..19 held at some time since the start
# (raspberrypi.com/documentation/computers/os.html, "get_throttled").
THROTTLING = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_SINCE_BOOT = 16
_SOC_ZONES = ("cpu-thermal", "cpu_thermal", "soc-thermal", "soc_thermal", "x86_pkg_temp")
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_REFUSED = -1  # adjtimex(2): by seccomp or a missing capability
_TIMEDATED = ("org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1", "NTPSynchronized")


class Health(Struct, frozen=True):
    """One look at the board, and at what the agent gets done on it."""

    soc_c: float | None  # °C
    throttling: tuple[str, ...] | None  # words of THROTTLING that hold now; None: the board does not tell
    throttled_before: tuple[str, ...] | None  # that held since the board started
    cpu: float | None  # 0..1 of all cores since the look before; None at the first
    memory: float | None  # 0..1 in use
    memory_free_mb: float | None  # that programs can still get
    rss_mb: float | None  # this process
    uptime_s: float | None  # of the board
    clock_synchronised: bool
    runs_on: str = ""  # "xnnpack", "edgetpu usb:0", "cpu (edgetpu lost: ...)"
    thermal_level: int = 0  # 0 full speed; each step up doubles the pause between two looks
    fps: float = 0.0  # frames looked at a second since the look before, all cameras
    dropped: int = 0  # frames nobody looked at since the agent started
    stage_ms: dict[str, float] = {}  # ms per stage of a mean frame


class Board:
    """The machine underneath."""

    def __init__(self, proc: Path = Path("/proc"), sys: Path = Path("/sys"), run: Path = Path("/run")) -> None:
        self._proc, self._sys, self._run = proc, sys, run
        self._busy: tuple[int, int] | None = None  # ticks: busy, all

    def look(self) -> Health:
        """Everything at once; takes about a millisecond."""
        now, before = self.throttling()
        total, free = self._memory_kb("MemTotal"), self._memory_kb("MemAvailable")
        pages = _read(self._proc / "self" / "statm").split()
        uptime = _read(self._proc / "uptime").split()
        return Health(
            soc_c=self.temperature(),
            throttling=now,
            throttled_before=before,
            cpu=self._cpu(),
            memory=None if not total or free is None else 1 - free / total,
            memory_free_mb=None if free is None else free / 1024,
            rss_mb=int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if len(pages) > 1 else None,
            uptime_s=float(uptime[0]) if uptime else None,
            clock_synchronised=clock_synchronised(self._run),
        )

    def temperature(self) -> float | None:
        """°C of the processor."""
        zones = _found(self._sys / "class" / "thermal", "thermal_zone*")
        zones.sort(key=lambda zone: _read(zone / "type") not in _SOC_ZONES)
        for zone in zones:
            if (text := _read(zone / "temp")).lstrip("-").isdigit():
                return int(text) / 1000
        return None

    def throttling(self) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        """What holds the processor back (now, since the start); None where the board does not tell."""
        for path in _found(self._sys / "devices" / "platform", "*/*firmware/get_throttled"):
            if text := _read(path):
                return words(int(text, 16))
        for monitor in _found(self._sys / "class" / "hwmon", "hwmon*"):  # tells of the voltage only
            if _read(monitor / "name") == "rpi_volt":
                return words(int(_read(monitor / "in0_lcrit_alarm") or "0"))[0], None
        return None, None

    def model(self) -> str:
        """ "Raspberry Pi 4 Model B Rev 1.4"; "" for a machine without a device tree."""
        return _read(self._proc / "device-tree" / "model").strip("\0 ")

    def _cpu(self) -> float | None:
        ticks = [int(n) for n in _read(self._proc / "stat").partition("\n")[0].split()[1:9]]
        if len(ticks) < 8:
            return None
        idle, total = ticks[3] + ticks[4], sum(ticks)  # waiting for the disk is idling too
        before, self._busy = self._busy, (total - idle, total)
        if before is None or total <= before[1]:
            return None
        return (total - idle - before[0]) / (total - before[1])

    def _memory_kb(self, key: str) -> int | None:
        for line in _read(self._proc / "meminfo").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
        return None


def words(bits: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """0x50005 -> (("under-voltage", "throttled"), the same): what holds now, and what held since the start."""
    now = tuple(word for bit, word in THROTTLING.items() if bits >> bit & 1)
    before = tuple(word for bit, word in THROTTLING.items() if bits >> bit + _SINCE_BOOT & 1)
    return now, before


def clock_synchronised(
    run: Path = Path("/run"),
    ask_kernel: Callable[[], int] | None = None,
    ask_timedated: Callable[[], bool] | None = None,
) -> bool:
    """Whether something keeps the wall clock right: timesyncd's own mark, else the kernel's word (any NTP client).

    The unit's ProtectClock=yes forbids even asking the kernel; systemd-timedated may, and tells whoever asks it.
    """
    if (run / "systemd" / "timesync" / "synchronized").exists():
        return True
    try:
        answer = (ask_kernel or _adjtimex)()
    except (OSError, AttributeError):  # not Linux
        return False
    return (ask_timedated or _timedated)() if answer == _REFUSED else answer != _TIME_ERROR


def _adjtimex() -> int:
    timex = ctypes.create_string_buffer(512)  # struct timex of ~208 bytes; modes = 0: only ask
    return int(libc().adjtimex(timex))


def _timedated() -> bool:
    try:
        asked = ("busctl", "--system", "get-property", *_TIMEDATED)
        done = subprocess.run(asked, capture_output=True, timeout=2, check=False)  # noqa: S603
        return done.stdout.strip() == b"b true"
    except (OSError, subprocess.TimeoutExpired):
        return False


def _found(folder: Path, pattern: str) -> list[Path]:
    """What there is of a name, in order; nothing where that cannot be told just now (no more files may be opened)."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _read(path: Path) -> str:
    """What stands in a small file, stripped; "" where it is not there or does not answer."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
