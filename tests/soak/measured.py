"""What is read of the agent while it runs, and what must hold of it at the end."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agent.publish.store import Store
from tests.fakes.agent import Process

WARM_UP = 0.25  # of the run: buffers grow to their size, every kind of trouble has come once or twice
SLOPE_MB_H = 1.0
SETTLED = 5  # looks at what is open, of which the least counts: a file of /proc is open for a moment now and then
LEAST_S = 2400.0  # of a run that tells growth: the outbox's journal and SQLite's cache take ten minutes to fill
JOURNAL_MB = 8.0  # of SQLite's write-ahead log, as agent/publish/store.py limits it


@dataclass(frozen=True)
class Sample:
    """The process at one moment."""

    t: float  # s since the start
    rss_mb: float
    cpu_s: float
    outbox_mb: float  # of the database and its journal
    at_rest: tuple[int, int] | None  # threads and open files, when nothing was wrong; None: something was


@dataclass
class Taken:
    """What the reference consumer made of the messages."""

    consumer: Any
    events: int = 0
    repeated: int = 0
    missing: int = 0
    told_missing: int = 0  # by gap events
    kinds: dict[str, int] = field(default_factory=dict)

    def take(self, payload: bytes) -> None:
        """One delivery of an event or an anomaly."""
        event, missing = self.consumer.take(payload)
        if event is None:
            self.repeated += 1
            return
        self.events += 1
        self.missing += missing
        self.kinds[event["kind"]] = self.kinds.get(event["kind"], 0) + 1
        if event["kind"] == "gap":
            self.told_missing += event["detail"]["count"]


@dataclass(frozen=True)
class Verdict:
    """One line of the table."""

    what: str
    limit: str
    seen: str
    holds: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.limit} | {self.seen} | {'yes' if self.holds else 'NO'} |"


def sample(agent: Process, t: float, state: Path, at_rest: bool) -> Sample:
    """Now."""
    files = [state / "outbox.db", state / "outbox.db-wal"]
    size = sum(file.stat().st_size for file in files if file.exists()) / 2**20
    looks = [(agent.threads, agent.files) for _ in range(SETTLED if at_rest else 0) if not time.sleep(0.02)]
    rest = (min(threads for threads, _ in looks), min(files for _, files in looks)) if looks else None
    return Sample(t, agent.rss_mb, agent.cpu_s, size, rest)


def keep(samples: list[Sample], path: Path) -> None:
    """A line a look, for who wants to know more than the curves show."""
    rows = [[one.t, one.rss_mb, one.cpu_s, one.outbox_mb, *(one.at_rest or ("", ""))] for one in samples]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["t_s", "rss_mb", "cpu_s", "outbox_mb", "threads", "files"], *rows])


def is_long(samples: list[Sample]) -> bool:
    """Enough to tell growth from chance."""
    return samples[-1].t >= LEAST_S


def slope_mb_h(samples: list[Sample]) -> float:
    """MB an hour: the straight line of least squares through the memory of the time after the warm-up."""
    late = [one for one in samples if one.t >= WARM_UP * samples[-1].t]
    return float(np.polyfit([one.t / 3600 for one in late], [one.rss_mb for one in late], 1)[0])


def verdicts(samples: list[Sample], taken: Taken, state: Path, max_mb: float, log: str) -> list[Verdict]:
    """Of a run that is over: its agent has been stopped."""
    store = Store(state / "outbox.db")
    waiting, numbered = len(store.found), store.totals.last_seq
    store.close()
    accounted = taken.events + taken.missing
    is_accounted = taken.missing == taken.told_missing and accounted + waiting == numbered
    resting = [one.at_rest for one in samples if one.at_rest and one.t >= WARM_UP * samples[-1].t]
    slope, long = slope_mb_h(samples), is_long(samples)
    memory = f"{slope:+.2f} MB/h, {samples[-1].rss_mb:.0f} MB at the end" + ("" if long else " (too short to judge)")
    largest, bound = max(one.outbox_mb for one in samples), max_mb + JOURNAL_MB
    events = f"{taken.events} taken + {taken.missing} told as given up + {waiting} kept of {numbered}"
    return [
        Verdict("events accounted for", "all", f"{events}; {taken.repeated} repeated", is_accounted),
        Verdict("memory, after the warm-up", f"< {SLOPE_MB_H:g} MB/h", memory, slope < SLOPE_MB_H or not long),
        _constant("threads at rest", [threads for threads, _ in resting]),
        _constant("open files at rest", [files for _, files in resting]),
        Verdict("outbox on the disk", f"< {bound:g} MB", f"{largest:.1f} MB at most", largest < bound),
        Verdict("tracebacks in the log", "0", str(log.count("Traceback")), "Traceback" not in log),
    ]


def _constant(what: str, values: list[int]) -> Verdict:
    """Whether they are all the same."""
    seen = f"{min(values)} to {max(values)} in {len(values)} looks" if values else "never looked at"
    return Verdict(what, "one number", seen, len(set(values)) == 1)
