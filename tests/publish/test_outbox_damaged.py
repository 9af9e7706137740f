"""The outbox's file is damaged: no wrong payload, no crash, and what can be read is sent."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.publish import store as store_module
from tests.publish.filled import body, crashed, filled, opened, seqs


def test_a_file_that_is_no_database_is_set_aside_and_said(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    path.write_bytes(b"what is this" * 1000)
    outbox = opened(path)
    assert not outbox.trouble
    assert [kind for kind, _ in outbox.reports] == ["storage_corrupt"]
    assert (tmp_path / "o.db.corrupt.1").read_bytes().startswith(b"what is this")
    assert outbox.append("t", body) == 1
    outbox.close()
    assert seqs(opened(path)) == [1]


def test_only_the_last_few_damaged_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    for _ in range(6):
        path.write_bytes(b"no" * 1000)
        opened(path).close()
    assert sorted(p.name for p in tmp_path.glob("*.corrupt.*")) == [f"o.db.corrupt.{n}" for n in (4, 5, 6)]


def test_a_damaged_row_is_never_sent_and_the_rest_is(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    filled(path, 10).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE outbox SET body = ? WHERE seq = 4", (body(5),))
    db.close()
    outbox = opened(path)
    assert seqs(outbox) == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert [(loss.reason, loss.first, loss.count) for loss in outbox.losses()] == [("corrupt", 4, 1)]
    outbox.commit()
    outbox.close()
    again = opened(path)
    assert [loss.count for loss in again.losses()] == [1]  # told once, not found again
    again.close()


def flip(data: bytearray, dice: random.Random) -> None:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(len(data)) :]


def zero(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(0, len(data), 512)
    data[at : at + 512] = bytes(len(data[at : at + 512]))


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("harm", [flip, cut, zero])
def test_no_damage_makes_a_wrong_payload_or_a_crash(
    tmp_path: Path, harm: Callable[[bytearray, random.Random], None], suffix: str
) -> None:
    """Files torn, zeroed in part or with a bit flipped: what is handed out is what was put in, in order."""
    path = tmp_path / "o.db"
    outbox = filled(path, 200)
    outbox.close()
    outbox = opened(path)
    for _ in range(200):
        outbox.append("t", lambda seq: body(seq, 200))
    outbox.commit()  # half of it in the file, half in the log
    dice = random.Random(1)
    saved = 0
    trials = int(os.environ.get("LOOKOUT_TRIALS", "12"))
    for n in range(trials):
        victim = crashed(outbox, path, tmp_path / str(n))
        file = Path(f"{victim}{suffix}")
        data = bytearray(file.read_bytes())
        harm(data, dice)
        file.write_bytes(data)
        hurt = opened(victim)
        rows = hurt.unsent(1000)
        assert [row.seq for row in rows] == sorted({row.seq for row in rows})
        assert all(row.body in (body(row.seq), body(row.seq, 200)) for row in rows)
        saved += len(rows)
        seq = hurt.append("t", body)
        hurt.commit()
        assert not hurt.trouble
        assert seqs(hurt) == [seq]
        hurt.close()
        shutil.rmtree(victim.parent)
    outbox.close()
    assert saved > 0


def test_damage_while_running_keeps_what_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    outbox = filled(path, 300)
    outbox.append("t", body)  # still in memory

    def broken(*_: object) -> None:
        raise store_module.DamagedError("o.db: database disk image is malformed")

    assert outbox._store
    outbox._store.read = broken  # type: ignore[method-assign, assignment]
    assert seqs(outbox, 10) == []
    assert len(outbox) == 301
    outbox.commit()
    assert seqs(outbox) == list(range(1, 302))
    outbox.close()
