"""Counts outlive kill -9 and restarts, and damaged or locked files cost one warning."""

from __future__ import annotations

import errno
import logging
import random
import select
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from agent.track.counters import FILE
from tests.conftest import ROOT
from tests.track.doors import STREET_DOOR, door

CHILD = """
import os, sys
from pathlib import Path
from unittest import mock
from agent.track import counters, journal
counters.Journal = lambda path: journal.Journal(path, sync_s=0.002, long=int(sys.argv[2]))
with counters.Counters(Path(sys.argv[1])) as counts:
    counts.declare("street", "door")
    while True:
        of_label, of_all = counts.add("street", "door", ("person", "car")[os.getpid() % 2], "in")
        os.write(1, b"%d\\n" % of_all)
"""


def last_told(folder: Path, long: int, seconds: float) -> int:
    """What a process that counts and tells said last before it was killed at a random moment."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(long)], cwd=ROOT, stdout=subprocess.PIPE, bufsize=0
    )
    assert child.stdout
    told = child.stdout.read(1)  # it has begun
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([child.stdout], [], [], left)[0]:
            told = (told + child.stdout.read(1 << 16))[-1000:]
    child.kill()
    told += child.stdout.read()
    child.wait()
    child.stdout.close()
    return int(told[: told.rindex(b"\n")].split(b"\n")[-1])


@pytest.mark.parametrize("long", [1 << 18, 2000], ids=["", "while it is often rewritten"])
def test_after_kill_9_no_count_is_less_than_the_last_one_told(tmp_path: Path, long: int) -> None:
    told = 0
    for _ in range(15):
        before, told = told, last_told(tmp_path, long, random.uniform(0, 0.05))

        counters = door(tmp_path)
        count = counters.counts()[*STREET_DOOR, "all", "in"]
        counters.close()

        assert told > before  # each process goes on where the last one was killed
        assert told <= count <= told + 1  # one may have been killed between counting and telling
        assert count == sum(n for key, n in counters.counts().items() if key[2] != "all")


def test_a_folder_that_cannot_be_used_costs_one_warning_and_counts_go_on_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    with door(tmp_path / "file") as counters:
        for n in range(1, 4):
            assert counters.add(*STREET_DOOR, "person", "in") == (n, n)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "/file: File exists; what is counted from now on is forgotten" in record.getMessage()


def test_what_can_only_be_read_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with door(tmp_path) as counters:
        counters.add(*STREET_DOOR, "person", "in")
    with mock.patch("os.open", side_effect=OSError(errno.EROFS, "Read-only file system")):
        counters = door(tmp_path)

    assert counters.add(*STREET_DOOR, "person", "in") == (2, 2)
    assert "Read-only file system; what is counted from now on is forgotten" in caplog.text


def test_a_second_agent_counts_in_memory_and_spoils_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with door(tmp_path) as first, door(tmp_path) as second:
        first.add(*STREET_DOOR, "person", "in")
        for _ in range(9):
            second.add(*STREET_DOOR, "person", "in")

    assert "another agent has it open" in caplog.text
    with door(tmp_path) as counters:
        assert counters.counts()[*STREET_DOOR, "all", "in"] == 1


def test_a_corrupt_file_is_set_aside_and_counting_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_bytes(b"\x00\xff" * 500)

    with door(tmp_path) as counters:
        assert counters.add(*STREET_DOOR, "person", "in") == (1, 1)

    assert (tmp_path / f"{FILE}.corrupt-1").stat().st_size == 1000
    assert len(caplog.records) == 1
    with door(tmp_path) as counters:
        assert counters.counts()[*STREET_DOOR, "all", "in"] == 1
    assert len(caplog.records) == 1


def test_in_memory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with door() as counters:
        counters.add(*STREET_DOOR, "person", "in")

    assert list(tmp_path.iterdir()) == []
