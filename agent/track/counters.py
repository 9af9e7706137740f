"""Counters: how many went in and out of each zone and over each line, by label; and how many are inside now.

Counts are in the journal before anyone is told of them, so they survive a restart and a `kill -9`. How many are
inside is a property of the tracks that live now: it starts at 0 with every run.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from agent.track.journal import Journal, JournalError, Key

log = logging.getLogger(__name__)
ALL = "all"  # the sum over all labels
FILE = "counts.journal"


class Counter(NamedTuple):
    """What a number counts."""

    camera: str
    name: str  # of the zone or line
    label: str  # ALL is the sum
    way: str  # "in", "out", or "inside": how many are in the zone now


class Counters:
    """The counts of all cameras. Counting is for one thread, asking for any."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: where they are kept; None, or one that cannot be used (one warning): in memory only."""
        self._lock = threading.Lock()
        self._changed: dict[Counter, int] = {}  # revision of the last change; only of what was declared
        self._declared: set[tuple[str, str]] = set()  # (camera, name)
        self._inside: dict[tuple[str, str], dict[str, int]] = {}  # (camera, zone) -> label -> how many are told of
        self._revision = 0
        self._journal: Journal | None = None
        kept: Mapping[Key, int] = {}
        if folder:
            try:
                self._journal = Journal(folder / FILE)
                kept = self._journal.values
            except JournalError as error:
                log.warning("counts: %s; what is counted from now on is forgotten at the end of this run", error)
                kept = error.values
        self._values = {Counter(*key): value for key, value in kept.items() if len(key) == len(Counter._fields)}
        for counter, value in list(self._values.items()):
            total = counter._replace(label=ALL)
            self._values[total] = self._values.get(total, 0) + value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Bring everything to the disk."""
        if self._journal:
            self._journal.close()

    def declare(self, camera: str, name: str, *, is_zone: bool = False) -> None:
        """There is such a zone or line. What no config names any more is kept on disk, but not told."""
        with self._lock:
            self._declared.add((camera, name))
            for way in ("in", "out", "inside") if is_zone else ("in", "out"):
                self._values.setdefault(Counter(camera, name, ALL, way), 0)
            self._touch(counter for counter in self._values if counter[:2] == (camera, name))

    def withdraw(self, camera: str, name: str) -> None:
        """There is no such zone or line any more: its counts are kept, but not told."""
        with self._lock:
            self._declared.discard((camera, name))
            self._inside.pop((camera, name), None)
            self._changed = {counter: n for counter, n in self._changed.items() if counter[:2] != (camera, name)}
            inside = [counter for counter in self._values if counter[:2] == (camera, name) and counter.way == "inside"]
            for counter in inside:
                del self._values[counter]

    def add(self, camera: str, name: str, label: str, way: str) -> tuple[int, int]:
        """Count one; returns the count of this label and of all labels. It is safe from `kill -9` when this returns."""
        one = Counter(camera, name, _told(label), way)
        total = one._replace(label=ALL)
        with self._lock:
            for counter in (one, total):
                self._values[counter] = self._values.get(counter, 0) + 1
            self._touch((one, total))
            if self._journal:
                self._journal.write(one, self._values[one])
            return self._values[one], self._values[total]

    def occupy(self, camera: str, zone: str, inside: Mapping[str, int]) -> None:
        """How many of each label are in a zone now; labels that are not named have left."""
        now = {_told(label): n for label, n in inside.items()} | {ALL: sum(inside.values())}
        with self._lock:
            before = self._inside.setdefault((camera, zone), {})
            changed = {label: now.get(label, 0) for label in before | now if now.get(label, 0) != before.get(label)}
            before |= changed
            if changed:
                counters = {Counter(camera, zone, label, "inside"): n for label, n in changed.items()}
                self._values |= counters
                self._touch(counters)

    def reset(self, name: str, camera: str | None = None) -> int:
        """Set the counts of a zone or line back to 0, on one camera or on all; returns how many were not 0."""
        with self._lock:
            counters = [
                counter
                for counter, value in self._values.items()
                if value and counter.way != "inside" and counter.name == name and camera in (None, counter.camera)
            ]
            for counter in counters:
                self._values[counter] = 0
                if self._journal and counter.label != ALL:
                    self._journal.write(counter, 0)
            self._touch(counters)
            return len(counters)

    def counts(self) -> dict[tuple[str, str, str, str], int]:
        """(camera, name, label or "all", "in" or "out") -> how many so far."""
        return {counter[:4]: n for counter, n in self.changes()[1].items() if counter.way != "inside"}

    def occupancy(self) -> dict[tuple[str, str, str], int]:
        """(camera, zone, label or "all") -> how many are inside now."""
        return {counter[:3]: n for counter, n in self.changes()[1].items() if counter.way == "inside"}

    def changes(self, since: int = 0) -> tuple[int, dict[Counter, int]]:
        """What changed after revision `since` (0: everything), and the revision to ask with next time.

        Each asker keeps its own revision, so several can follow the same counters.
        """
        with self._lock:
            if since == self._revision:
                return since, {}
            changed = {c: self._values[c] for c, revision in self._changed.items() if revision > since}
            return self._revision, changed

    def _touch(self, counters: Iterable[Counter]) -> None:
        self._revision += 1
        self._changed |= {counter: self._revision for counter in counters if counter[:2] in self._declared}


def _told(label: str) -> str:
    """A model whose own label is "all" must not be taken for the sum."""
    return f"{label}_" if label == ALL else label
