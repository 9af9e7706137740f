"""What zones and lines carry of each live track from frame to frame, and how they say what they found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from agent.data import Array

_START = 16  # records; doubled when more tracks live at once


class Finding(NamedTuple):
    """Something happened to a track; Zones counts it and makes it an Event."""

    row: int  # among the records that were handed in
    kind: str  # zone_enter | zone_exit | line_cross
    source: str  # the zone or line
    way: str  # "in" or "out": what it counts as
    detail: dict[str, Any]


class Memory:
    """One record a live track, all in one numpy array; records of ended tracks are used again."""

    def __init__(self, fields: Sequence[tuple[Any, ...]]) -> None:
        self._type = np.dtype(list(fields))
        self._records = np.zeros(_START, self._type)
        self._row: dict[int, int] = {}  # track_id -> row in _records
        self._free = list(range(_START))

    def __len__(self) -> int:
        return len(self._row)

    def rows(self, track_ids: Array) -> Array:
        """(N,) rows of these tracks; one that is not known yet gets a zeroed record."""
        known = self._row
        return np.array([known[id_] if id_ in known else self._new(id_) for id_ in track_ids.tolist()], np.intp)

    def read(self, rows: Array) -> Array:
        """(N,) copies of records."""
        return self._bytes[rows].view(self._type)

    def write(self, rows: Array, records: Array) -> None:
        """The reverse of read."""
        self._bytes[rows] = records.view(self._bytes.dtype)

    def live(self) -> Array:
        """Copies of the records of all live tracks."""
        return self.read(np.array(list(self._row.values()), np.intp))

    def forget(self, track_ids: Iterable[int]) -> tuple[list[int], Array]:
        """Of these tracks those that were known, and their last records."""
        known = [id_ for id_ in track_ids if id_ in self._row]
        rows = np.array([self._row.pop(id_) for id_ in known], np.intp)
        last = self.read(rows)
        self._records[rows] = np.zeros(1, self._type)
        self._free += rows.tolist()
        return known, last

    def _new(self, track_id: int) -> int:
        if not self._free:
            n = len(self._records)
            self._records = np.concatenate([self._records, np.zeros(n, self._type)])
            self._free = list(range(n, 2 * n))
        row = self._row[track_id] = self._free.pop()
        return row

    @property
    def _bytes(self) -> Array:
        """The same records without their fields: numpy copies those four times as fast."""
        return self._records.view(np.dtype((np.void, self._type.itemsize)))
