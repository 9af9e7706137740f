"""The outbox's file is garbage, gone or read-only: a fresh one, or memory; what comes is told, and told of."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Row, full

GARBAGE = b"no database at all " * 500


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Makes the state's folder a file system that may be turned read-only by a call."""
    folder = tmp_path / "state"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "lookout-test", folder], capture_output=True
    ).returncode:
        pytest.skip("may not mount a tmpfs here")
    yield lambda: subprocess.run(["mount", "-o", "remount,ro", folder], check=True) and None
    subprocess.run(["umount", "-l", folder], check=True)


def events_come(agent: Running) -> None:
    before = len(agent.of("events"))
    agent.ask("snapshot", camera="yard")
    agent.wait(lambda: len(agent.of("events")) > before, "an event")


def test_garbage_is_set_aside_and_told(tmp_path: Path, start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("outbox corrupt, deleted, read-only", "overwritten, removed, read-only", "set aside; events go on")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "outbox.db").write_bytes(GARBAGE)
    agent = start(YARD)
    agent.wait(lambda: agent.events("storage_corrupt"), "the event")
    assert (tmp_path / "state" / "outbox.db.corrupt.1").read_bytes() == GARBAGE
    (tmp_path / "state" / "outbox.db").unlink()
    events_come(agent)
    with told.recovery():
        agent.process.stop(signal.SIGTERM)
        agent.process.start()
        agent.wait(lambda: agent.of("yard/status")[-1] == b"online" and len(agent.of("status")) > 2, "a new start")
        events_come(agent)
    told.seen = "event storage_corrupt; events go on, from memory where the disk is read-only"
    assert "Traceback" not in agent.process.log()


@pytest.mark.parametrize("content", [pytest.param(b"", id="no file", marks=full), pytest.param(GARBAGE, id="garbage")])
def test_on_a_disk_that_is_read_only_events_come_from_memory(
    tmp_path: Path, read_only: Callable[[], None], start: Callable[..., Running], content: bytes
) -> None:
    if content:
        (tmp_path / "state" / "outbox.db").write_bytes(content)
    read_only()
    agent = start(YARD)
    events_come(agent)
    agent.wait(lambda: agent.of("health"), "health")
    assert agent.health()["outbox"] != "ok"
    assert "Traceback" not in agent.process.log()
