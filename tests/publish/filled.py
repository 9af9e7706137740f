"""Outboxes as tests need them: open, filled, and as a crash would leave them."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import Any

from agent import config
from agent.publish.outbox import Outbox
from tests.fakes.clock import FixedClock


def body(seq: int, size: int = 40) -> bytes:
    """Bytes that say which event they are and that nothing else could be."""
    return f"{seq}:".encode() + zlib.crc32(str(seq).encode()).to_bytes(4, "big") * (size // 4)


def opened(path: Path | None, **options: Any) -> Outbox:
    outbox = Outbox(config.Outbox(**options), path, FixedClock())
    outbox.open()
    return outbox


def filled(path: Path, n: int, **options: Any) -> Outbox:
    """n committed events."""
    outbox = opened(path, **options)
    for _ in range(n):
        outbox.append("t", body)
    outbox.commit()
    return outbox


def crashed(outbox: Outbox, path: Path, to: Path) -> Path:
    """The files as they are in this instant, as a kill would leave them."""
    to.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", to / f"{path.name}{suffix}")
    return to / path.name


def seqs(outbox: Outbox, limit: int = 10_000) -> list[int]:
    return [row.seq for row in outbox.unsent(limit)]
