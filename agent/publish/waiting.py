"""Which events wait, in the order of their numbers: priority and size of each, wherever its bytes are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.publish.store import Row


class Rested(NamedTuple):
    """An event that was acknowledged a moment ago."""

    t: float  # s, monotonic, of the acknowledgement
    seq: int
    priority: int
    size: int  # bytes
    row: Row | None  # where there is no disk


class Waiting:
    """An index; `size` is the sum of bytes."""

    def __init__(self) -> None:
        self.size = 0
        self._rows: dict[int, tuple[int, int]] = {}  # seq -> priority, bytes; rising
        self._by_priority: dict[int, deque[int]] = {}  # rising; may name rows that are gone

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, seq: object) -> bool:
        return seq in self._rows

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __getitem__(self, seq: int) -> tuple[int, int]:
        """(priority, bytes)."""
        return self._rows[seq]

    def add(self, seq: int, priority: int, size: int) -> None:
        """The newest."""
        self._rows[seq] = priority, size
        self._by_priority.setdefault(priority, deque()).append(seq)
        self.size += size

    def restore(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Older ones (seq, priority, bytes) that wait once more."""
        for seq, priority, size in rows:
            self._rows[seq] = priority, size
            self.size += size
        self._rows = dict(sorted(self._rows.items()))
        self._by_priority = {}
        for seq, (priority, _) in self._rows.items():
            self._by_priority.setdefault(priority, deque()).append(seq)

    def remove(self, seq: int) -> None:
        """It waits no more."""
        priority, size = self._rows.pop(seq)
        self.size -= size
        queue = self._by_priority[priority]
        while queue and queue[0] not in self._rows:
            queue.popleft()

    def first_to_go(self, after: int) -> int | None:
        """The oldest of the lowest priority with a seq above `after`."""
        for priority in sorted(self._by_priority):
            for seq in self._by_priority[priority]:
                if seq > after and seq in self._rows:
                    return seq
        return None
