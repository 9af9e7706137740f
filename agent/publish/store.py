"""The outbox's file: SQLite in WAL mode, one table of rows that each carry a checksum, one row of totals.

SQLite finds torn writes by itself, but not flipped bits: crc32 over every column does. A file that is damaged is
set aside under another name, and what can still be read of it, row by row, moves into a new one.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)
_VERSION = 1
_SCHEMA = f"""
PRAGMA application_id = {0x4C6B4F62};
PRAGMA user_version = {_VERSION};
CREATE TABLE outbox (seq INTEGER PRIMARY KEY, priority INTEGER, expires INTEGER, topic TEXT, body BLOB, crc INTEGER);
CREATE TABLE totals (id INTEGER PRIMARY KEY, json BLOB, crc INTEGER);
"""
_TUNING = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA journal_size_limit = 8388608;
PRAGMA cache_size = -256;
"""
_SET_ASIDE_KEPT = 3  # damaged files that stay on the disk; a failing card must not fill itself with them
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR_SHORT_READ}


@dataclass(frozen=True, slots=True)
class Row:
    """One event that waits."""

    seq: int
    priority: int
    expires: int  # Unix s; 0 = never
    topic: str
    body: bytes

    @property
    def crc(self) -> int:
        """Of everything in it."""
        return zlib.crc32(self.body, zlib.crc32(f"{self.seq} {self.priority} {self.expires} {self.topic}\n".encode()))


class Loss(msgspec.Struct, frozen=True):
    """`count` of the events numbered `first` to `last` were given up."""

    reason: str
    first: int
    last: int
    count: int

    def and_(self, seq: int) -> Loss:
        """One more."""
        return Loss(self.reason, min(self.first, seq), max(self.last, seq), self.count + 1)


class Totals(msgspec.Struct, frozen=True):
    """What must be known even when no row is left."""

    last_seq: int = 0
    losses: tuple[Loss, ...] = ()  # not told yet


class StoreError(Exception):
    """The file cannot be read or written just now: a full or read-only disk, another process."""


class DamagedError(StoreError):
    """The file is not what was written."""


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) or 0
        kind = DamagedError if code in _CORRUPT or code & 0xFF in _CORRUPT else StoreError
        raise kind(f"{path}: {error}") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error


class Store:
    """An open file. Raises StoreError from every method; belongs to the thread that opened it."""

    def __init__(self, path: Path) -> None:
        """Opens or creates it and checks every page (DamagedError) and every row.

        Damaged rows are in no answer of `read`; `damaged` counts them.
        """
        self.path = path
        self.found: list[tuple[int, int, int]] = []  # (seq, priority, bytes) of every sound row, rising
        self.damaged: list[int] = []  # seq, as far as it can be believed
        self.totals = Totals()
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5)
        try:
            with _explained(path):
                self._prepare()
                self._check()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.executescript(_TUNING)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not self._db.execute("SELECT 1 FROM sqlite_schema").fetchone():
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        elif version != _VERSION:
            raise StoreError(f"{self.path}: made by another version of the agent (format {version})")

    def _check(self) -> None:
        verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise DamagedError(f"{self.path}: {verdict}")
        for seq, row in _rows(self._db.execute("SELECT * FROM outbox ORDER BY seq")):
            if row:
                self.found.append((seq, row.priority, len(row.body)))
            else:
                self.damaged.append(seq)
        self.totals = _totals(self._db)

    def write(self, inserted: Iterable[Row], deleted: Iterable[int], totals: Totals | None) -> None:
        """All of it or nothing, on the disk when it returns."""
        with _explained(self.path):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("DELETE FROM outbox WHERE seq = ?", ((seq,) for seq in deleted))
                self._db.executemany(
                    "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)",
                    ((r.seq, r.priority, r.expires, r.topic, r.body, r.crc) for r in inserted),
                )
                if totals is not None:
                    text = msgspec.json.encode(totals)
                    self._db.execute("INSERT OR REPLACE INTO totals VALUES (1, ?, ?)", (text, zlib.crc32(text)))
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def read(self, after: int, limit: int) -> list[tuple[int, Row | None]]:
        """Up to `limit` rows with seq > `after`, rising; None for one whose checksum is wrong."""
        with _explained(self.path):
            return list(
                _rows(self._db.execute("SELECT * FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)))
            )

    def close(self) -> None:
        """Folds the log into the file."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


def opened(path: Path) -> tuple[Store, dict[str, object]]:
    """The file and {}; of a damaged one what can be saved, in a new file, and what to tell of that."""
    try:
        return Store(path), {}
    except DamagedError as error:
        rows, totals = salvage(path)
        with _explained(path):
            aside = set_aside(path)
        log.warning("outbox %s; set aside as %s, %d events saved from it", error, aside.name, len(rows))
        store = Store(path)
        store.write(rows, (), totals)
        store.found = [(row.seq, row.priority, len(row.body)) for row in rows]
        store.totals = totals
        return store, {"file": aside.name, "reason": str(error), "saved": len(rows)}


def set_aside(path: Path) -> Path:
    """Rename a damaged file and its log; the oldest of those kept goes."""
    taken = sorted(int(p.suffix[1:]) for p in path.parent.glob(f"{path.name}.corrupt.*") if p.suffix[1:].isdigit())
    for number in taken[: max(0, len(taken) - _SET_ASIDE_KEPT + 1)]:
        for old in path.parent.glob(f"{path.name}.corrupt.{number}*"):
            old.unlink(missing_ok=True)
    aside = path.with_name(f"{path.name}.corrupt.{taken[-1] + 1 if taken else 1}")
    for suffix in ("-wal", "-shm", ""):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))
    return aside


def salvage(path: Path) -> tuple[list[Row], Totals]:
    """Every sound row that can be reached from either end of a damaged file. Leaves the file as it is."""
    kept: dict[int, Row] = {}
    totals = Totals()
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as db:
        for order in ("ASC", "DESC"):
            with contextlib.suppress(sqlite3.Error):
                found = db.execute(f"SELECT * FROM outbox ORDER BY seq {order}")  # noqa: S608
                kept.update((seq, row) for seq, row in _rows(found) if row)  # keeps what came before an error
        totals = _totals(db)
    return [kept[seq] for seq in sorted(kept)], totals


def _rows(found: Iterable[Sequence[object]]) -> Iterator[tuple[int, Row | None]]:
    for seq, priority, expires, topic, body, crc in found:
        if isinstance(seq, int) and isinstance(priority, int) and isinstance(expires, int):
            row = Row(seq, priority, expires, str(topic), body if isinstance(body, bytes) else b"")
            yield seq, row if row.crc == crc else None
        else:
            yield (seq if isinstance(seq, int) else 0), None


def _totals(db: sqlite3.Connection) -> Totals:
    """As written; nothing where they are damaged."""
    found = db.execute("SELECT json, crc FROM totals").fetchone()
    if not found or not isinstance(found[0], bytes) or zlib.crc32(found[0]) != found[1]:
        return Totals()
    return msgspec.json.decode(found[0], type=Totals)
