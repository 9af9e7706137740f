"""The last value of each key, on disk: a line a change, each with its own checksum; rewritten when it grows long.

    8d1f04c2 ["street","door","person","in",41]
    crc32 of what follows the space

Why no database: a line is one write() into the kernel's cache, a few µs and no waiting for a disk, and what the kernel
has outlives the process, `kill -9` included. A thread brings it to the disk every few seconds; that much a power cut
can take. A flipped bit is noticed and costs one line, not the file.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
import zlib
from pathlib import Path

import msgspec

from agent import disk
from agent.data import LookoutError

log = logging.getLogger(__name__)
Key = tuple[str, ...]
SYNC_S = 5.0  # what a power cut may cost
_RETRY_S = 60.0  # after the disk refused
_LONG = 256 << 10  # bytes; a longer file is rewritten with one line a key
_ABSURD = 64 << 20  # bytes; no file of ours, not read into memory
_KEPT = 9  # files set aside; the last one is replaced from then on


class JournalError(LookoutError):
    """A journal that cannot be written, and why; `values` is what can be read of it nevertheless."""

    def __init__(self, reason: str, values: dict[Key, int] | None = None) -> None:
        super().__init__(reason)
        self.values = values or {}


class Journal:
    """Values by key, as read and as written since. One at a time may have a file open."""

    def __init__(self, path: Path, *, sync_s: float = SYNC_S, long: int = _LONG) -> None:
        """Reads what is there; what is damaged is set aside with one warning. Raises JournalError."""
        self.path, self.values = path, dict[Key, int]()
        self._sync_s, self._long = sync_s, long
        self._lock = threading.Lock()  # never held while a disk is waited for
        self._dirty, self._closing = threading.Event(), threading.Event()
        self._late: list[bytes] | None = None  # lines written while the file is being rewritten
        self._refused = False  # the disk did not take a line: the file lacks it until it is rewritten
        self._thread: threading.Thread | None = None
        self._fd = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            _lock_alone(self._fd)
            self._size = self._read()
        except OSError as error:
            if self._fd >= 0:
                os.close(self._fd)
            if isinstance(error, BlockingIOError):
                raise JournalError(f"{path}: another agent has it open") from error
            raise JournalError(f"{error.filename or path}: {error.strerror}", _readable(path)) from error

    def write(self, key: Key, value: int) -> None:
        """Safe from `kill -9` when it returns; a disk that refuses costs one warning and is tried again."""
        line = _line(key, value)
        with self._lock:
            self.values[key] = value
            if self._late is not None:
                self._late.append(line)
            if not self._refused:
                try:
                    _write(self._fd, line)
                    self._size += len(line)
                except OSError as error:
                    self._refuse(error)
        self._dirty.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="counts", daemon=True)
            self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Bring everything to the disk and let go of the file."""
        self._closing.set()
        self._dirty.set()
        if self._thread:
            self._thread.join(timeout)
        if self._thread is None or not self._thread.is_alive():  # else the disk hangs; the system closes the file
            os.close(self._fd)

    def _run(self) -> None:
        last = False
        while not last:
            self._dirty.wait()
            self._closing.wait(_RETRY_S if self._refused else self._sync_s)  # more lines gather
            self._dirty.clear()
            last = self._closing.is_set()  # asked after `clear`, which may have taken back what `close` has set
            try:
                if self._refused or self._size > self._long:
                    self._rewrite()
                else:
                    os.fdatasync(self._fd)
            except OSError as error:
                with self._lock:
                    self._refuse(error)

    def _refuse(self, error: OSError) -> None:
        if not self._refused:
            log.warning("counts: %s: %s; kept in memory, tried again every %.0f s", self.path, error.strerror, _RETRY_S)
        self._refused = True
        self._dirty.set()

    def _read(self) -> int:
        """Fills `values`; returns the size of the file in bytes."""
        size = os.fstat(self._fd).st_size
        text = os.pread(self._fd, size, 0) if size <= _ABSURD else b""
        self.values, good, damaged = parse(text)
        if damaged or size > _ABSURD or (size and not self.values):
            aside = self._set_aside()
            log.warning(
                "counts: %s is damaged: set aside as %s, %d value(s) kept", self.path, aside.name, len(self.values)
            )
            return self._rewrite()
        if good < size:
            log.warning("counts: %s: its last %d bytes were cut short; left out", self.path, size - good)
            os.ftruncate(self._fd, good)
        return good

    def _set_aside(self) -> Path:
        """A second name for the file, which stays where it is until a good one takes its place."""
        names = [self.path.with_name(f"{self.path.name}.corrupt-{n}") for n in range(1, _KEPT + 1)]
        aside = next((name for name in names if not name.exists()), names[-1])
        aside.unlink(missing_ok=True)
        try:
            aside.hardlink_to(self.path)
        except OSError:  # a file system without links
            self.path.replace(aside)
        return aside

    def _rewrite(self) -> int:
        """A new file with one line a key takes the place of the old; lines written meanwhile are in both."""
        with self._lock:
            text = b"".join(_line(key, value) for key, value in self.values.items())
            self._late = []
        new = self.path.with_name(self.path.name + ".new")
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(fd, text)
            os.fsync(fd)
            with self._lock:
                _write(fd, b"".join(self._late))
                new.replace(self.path)
                self._fd, fd = fd, self._fd
                self._size, self._long = len(text), max(self._long, 2 * len(text))
                if self._refused:
                    log.info("counts: %s: on disk again", self.path)
                self._refused = False
        finally:
            with self._lock:
                self._late = None
            os.close(fd)  # the old one, or a new one that failed
        disk.sync_folder(self.path.parent)
        return len(text)


def _lock_alone(fd: int) -> None:
    """Have the file to ourselves; a child that is just being started holds a closed one for a moment longer."""
    for _ in range(20):
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
    return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _readable(path: Path) -> dict[Key, int]:
    try:
        return parse(path.read_bytes())[0] if path.stat().st_size <= _ABSURD else {}
    except OSError:
        return {}


def parse(text: bytes) -> tuple[dict[Key, int], int, int]:
    """The last value of each key, the length up to the last good line, and how many lines before it are damaged."""
    values: dict[Key, int] = {}
    at = good = damaged = bad = 0
    for line in text.splitlines(keepends=True):
        at += len(line)
        item = _item(line)
        if item is None:
            bad += 1
        else:
            values[item[0]] = item[1]
            good, damaged = at, bad
    return values, good, damaged


def _item(line: bytes) -> tuple[Key, int] | None:
    try:
        if line[-1:] != b"\n" or int(line[:8], 16) != zlib.crc32(line[9:-1]):
            return None
        *key, value = msgspec.json.decode(line[9:-1], type=list[str | int])
    except (ValueError, msgspec.MsgspecError):
        return None
    return (tuple(map(str, key)), value) if isinstance(value, int) else None


def _line(key: Key, value: int) -> bytes:
    text = msgspec.json.encode([*key, value])
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _write(fd: int, text: bytes) -> None:
    if os.write(fd, text) != len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
