"""Events that the broker has not acknowledged yet, in the order of their numbers, safe from crash and power loss.

    append ──▶ RAM ──commit──▶ disk ──unsent──▶ in flight ──acked──▶ gone
                └──────── while the disk cannot ──┘

An event is on the disk before it is handed out and leaves it some seconds after it was acknowledged: a broker that
crashes may lose what it has just acknowledged, so that is sent again when the connection breaks. Bounded in rows and
bytes: when full, the oldest of the lowest priority goes first; `losses` tells what went. A disk that is full, read-only
or broken costs safety, not events: they are then handed out from memory, of which there is less. Commits come in
groups: the first at once, those that follow it together. Used from one thread.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from agent import config
from agent.publish.clock import Clock
from agent.publish.store import DamagedError, Loss, Row, Store, StoreError, Totals, opened
from agent.publish.waiting import Rested, Waiting

log = logging.getLogger(__name__)
GROUP_S, GROUP_ROWS = 0.02, 64  # commits are at least so far apart, unless so many rows wait
REST_S, REST_ROWS = 2.0, 512  # acknowledged rows stay for half this to this time, at most so many of them
RAM_ROWS, RAM_BYTES = 2_000, 4 << 20  # what is kept while the disk cannot
RETRY_S = (1.0, 30.0)  # a disk that failed is tried again after this, doubling


class Outbox:
    """`path` None keeps everything in memory. Between open() and close() all calls come from one thread."""

    def __init__(self, options: config.Outbox, path: Path | None, clock: Clock) -> None:
        self.trouble = ""  # why events are not safe on the disk just now, for people; "" if they are
        self.dropped = 0
        self.reports: list[tuple[str, dict[str, object]]] = []  # (kind, detail) of what should be told as an event
        self._options, self.path, self._clock = options, path, clock
        self._store: Store | None = None
        self._seq = 0
        self._waiting = Waiting()
        self._ram_bytes = 0
        self._ram: dict[int, Row] = {}  # not on the disk yet
        self._line: deque[int] = deque()  # seq of those of them that were not handed out; may name rows that are gone
        self._resting: deque[Rested] = deque()  # acknowledged a moment ago, oldest first
        self._again: set[int] = set()  # sent once more after a rest; a second rest could go on for ever
        self._gone: list[int] = []  # still on the disk
        self._losses: dict[str, Loss] = {}  # reason -> what went and was not told yet
        self.cursor = 0  # seq of the last row handed out: up to it, rows are in flight
        self._committed = self._retry_at = float("-inf")  # s, monotonic
        self._retry_s = RETRY_S[0]
        self._unsaved = False  # losses that the disk does not know of

    def __len__(self) -> int:
        return len(self._waiting)

    def open(self) -> None:
        """Read what the last run left. Never raises: without a disk, memory has to do."""
        if self.path is None:
            return
        try:
            self._adopt(self._opened(self.path))
        except StoreError as error:
            self._fail(error)

    def close(self) -> None:
        """Commit and let go of the file."""
        self._retry_at = float("-inf")
        self._forget_rested(float("inf"))
        self.commit()
        if self._store:
            self._store.close()
            self._store = None

    def append(self, topic: str, encode: Callable[[int], bytes], priority: int = 1, explains: str = "") -> int:
        """Number one event and keep it; returns its number. `explains` is the reason of the loss that it tells of."""
        body = encode(self._seq + 1)
        self._seq += 1
        mortal = self._options.expiry_s and self._clock.trusted()
        expires = int(self._now() + self._options.expiry_s) if mortal else 0
        row = Row(self._seq, priority, expires, topic, body)
        self._ram[row.seq] = row
        self._line.append(row.seq)
        self._ram_bytes += len(body)
        self._waiting.add(row.seq, priority, len(body))
        self._unsaved |= self._losses.pop(explains, None) is not None
        self._make_room()
        return row.seq

    def losses(self) -> list[Loss]:
        """What was given up and is not told yet; append(..., explains=loss.reason) tells it."""
        return list(self._losses.values())

    def due(self) -> float:
        """Seconds until commit() has something to do."""
        now = time.monotonic()
        if self.path is None:
            return float("inf")
        if self.trouble:
            return max(0.0, self._retry_at - now)
        if len(self._ram) >= GROUP_ROWS:
            return 0.0
        if self._ram or self._unsaved:
            return max(0.0, self._committed + GROUP_S - now)
        if self._gone:
            return max(0.0, self._committed + REST_S / 2 - now)
        return max(0.0, self._resting[0].t + REST_S - now) if self._resting else float("inf")

    def commit(self) -> None:
        """Bring the disk up to date in one transaction. A failure is remembered and tried again later, not raised."""
        if time.monotonic() < self._retry_at:
            return
        self._forget_rested(time.monotonic() - REST_S / 2)
        if self.path is None:
            self._gone.clear()
        if self.path is None or not (self._ram or self._gone or self._unsaved or self.trouble):
            return
        try:
            if self._store is None:
                self._adopt(self._opened(self.path))
            assert self._store
            empty = self._seq not in self._waiting  # then no row tells which number comes next
            totals = Totals(self._seq, tuple(self._losses.values())) if empty or self._unsaved else None
            self._store.write(self._ram.values(), self._gone, totals)
        except DamagedError as error:
            self._start_afresh(error)
        except StoreError as error:
            self._fail(error)
        else:
            self._succeeded()

    def unsent(self, limit: int) -> list[Row]:
        """The next rows to send, each handed out once until rewind(). Rows that expired are given up here."""
        rows: list[Row] = []
        for row in islice(self._after_cursor(limit), limit):
            self.cursor = row.seq
            if row.expires and self._clock.trusted() and row.expires < self._now():
                self._give_up(row.seq, "expired")
            else:
                rows.append(row)
        return rows

    def acked(self, seq: int) -> None:
        """The broker has it."""
        if seq not in self._waiting:
            return
        (priority, size), row = self._waiting[seq], self._ram.get(seq)
        self._remove(seq)
        if seq in self._again:
            self._again.remove(seq)
            if row is None:
                self._gone.append(seq)
        elif row is None or self.path is None:
            self._resting.append(Rested(time.monotonic(), seq, priority, size, row))
            if len(self._resting) > REST_ROWS:
                self._forget_rested(self._resting[0].t)

    def give_up(self, seq: int, reason: str) -> None:
        """It can never be delivered: too large for this broker, for one."""
        if seq in self._waiting:
            self._give_up(seq, reason)

    @property
    def oldest(self) -> float:
        """Number of the first that waits; infinite if none does."""
        return next(iter(self._waiting), float("inf"))

    def rewind(self) -> None:
        """The connection was lost: what was not acknowledged, or only just, is unsent again."""
        self.cursor = 0
        self._forget_rested(time.monotonic() - REST_S)
        self._waiting.restore((rested.seq, rested.priority, rested.size) for rested in self._resting)
        for rested in self._resting:
            self._again.add(rested.seq)
            if rested.row:
                self._ram[rested.seq] = rested.row
                self._ram_bytes += rested.size
        self._ram = dict(sorted(self._ram.items()))
        self._line = deque(self._ram)
        self._resting.clear()

    def _forget_rested(self, until: float) -> None:
        """Rows that were acknowledged up to then (s, monotonic) leave the disk with the next commit."""
        while self._resting and self._resting[0].t <= until:
            rested = self._resting.popleft()
            if rested.row is None:
                self._gone.append(rested.seq)

    def _now(self) -> float:
        return self._clock.wall(self._clock.monotonic())  # Unix s

    def _after_cursor(self, limit: int) -> Iterator[Row]:
        """Rows behind the cursor that may be sent: those on the disk, and those in memory while that must do."""
        newest_on_disk = (next(iter(self._ram)) if self._ram else self._seq + 1) - 1
        while self._store and self.cursor < newest_on_disk:
            try:
                found = self._store.read(self.cursor, limit)
            except DamagedError as error:
                self._start_afresh(error)
                return
            except StoreError as error:
                self._fail(error)
                return
            for seq, row in found:
                if row is None and seq in self._waiting:
                    self._give_up(seq, "corrupt")
                elif row is not None and seq in self._waiting:
                    yield row
            self.cursor = found[-1][0] if found else newest_on_disk
        if self._store is None or self.trouble:
            while self._line:
                if (seq := self._line.popleft()) in self._ram:
                    yield self._ram[seq]

    def _remove(self, seq: int) -> None:
        self._waiting.remove(seq)
        if row := self._ram.pop(seq, None):
            self._ram_bytes -= len(row.body)

    def _give_up(self, seq: int, reason: str) -> None:
        if seq in self._waiting:
            if seq not in self._ram:
                self._gone.append(seq)
            self._remove(seq)
            self._again.discard(seq)
        self.dropped += 1
        self._losses[reason] = self._losses.get(reason, Loss(reason, seq, seq, 0)).and_(seq)
        self._unsaved = True

    def _make_room(self) -> None:
        limit = self._options.max_mb * 1_000_000
        while len(self._waiting) > self._options.max_rows or self._waiting.size > limit:
            victim = self._waiting.first_to_go(after=self.cursor)  # up to the cursor they are in flight
            if victim is None:
                break
            self._give_up(victim, "full")
        if self.trouble and (len(self._ram) > RAM_ROWS or self._ram_bytes > RAM_BYTES):
            free = sorted((self._waiting[seq][0], seq) for seq in self._ram if seq > self.cursor)
            for _, seq in free[: max(1, RAM_ROWS // 20)]:  # several at once: sorting takes its time
                self._give_up(seq, "full")

    def _opened(self, path: Path) -> Store:
        """The file, or what can be saved of it in a new one."""
        store, report = opened(path)
        self.reports += [("storage_corrupt", report)] if report else []
        return store

    def _adopt(self, store: Store) -> None:
        """Take over what the last run left. A run that has numbered events already cannot: the numbers would clash."""
        if self._seq and (store.found or store.totals.last_seq):
            store.close()
            raise StoreError(f"{store.path}: holds events of an earlier run, which the next start will send")
        for seq, priority, size in store.found:
            self._waiting.add(seq, priority, size)
        newest = max(store.totals.last_seq, store.found[-1][0] if store.found else 0)
        self._seq = max(self._seq, newest + sum(seq > newest for seq in store.damaged))
        self._losses.update({loss.reason: loss for loss in store.totals.losses})
        for seq in store.damaged:
            self._give_up(min(max(seq, 1), self._seq), "corrupt")
        self._gone += store.damaged
        self._store = store

    def _start_afresh(self, error: StoreError) -> None:
        """The open file turned out to be damaged: go on with what can be saved of it."""
        assert self._store
        assert self.path
        self._store.close()
        self._store = None
        on_disk = {seq for seq in self._waiting if seq not in self._ram}
        saved: set[int] = set()
        try:
            self._store = self._opened(self.path)
            saved.update(seq for seq, _, _ in self._store.found)
        except StoreError as second:
            self._fail(second)
        for seq in sorted(on_disk - saved):
            self._give_up(seq, "corrupt")
        self._gone = sorted(saved - on_disk)
        self._resting.clear()
        log.error("outbox: %s; %d events were lost", error, len(on_disk - saved))

    def _fail(self, error: StoreError) -> None:
        if not self.trouble:
            log.error("outbox %s; events are kept in memory until the disk is back", error)
            self._retry_s = RETRY_S[0]
        self.trouble = str(error)
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(RETRY_S[1], self._retry_s * 2)

    def _succeeded(self) -> None:
        if self.trouble:
            log.warning("outbox %s: on the disk again", self.path)
        self.trouble, self._retry_at = "", float("-inf")
        self._ram.clear()
        self._line.clear()
        self._gone.clear()
        self._ram_bytes, self._unsaved, self._committed = 0, False, time.monotonic()
