"""The outbox against a list, through crashes, full disks and damaged files."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent import config
from agent.publish import outbox as outbox_module
from agent.publish import store as store_module
from agent.publish.outbox import Outbox
from agent.publish.store import StoreError
from tests.fakes.clock import FixedClock
from tests.publish.filled import body, crashed, filled, opened, seqs

ROOM = 6


class AgainstAList(RuleBasedStateMachine):
    """What the outbox does, done by a list of (seq, priority) and a copy of it made at each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.rest_s, outbox_module.REST_S = outbox_module.REST_S, 1e9  # what was acknowledged rests until the end
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "o.db"
        self.crashes = 0
        self.outbox = opened(self.path, max_rows=ROOM)
        self.rows: list[tuple[int, int]] = []
        self.flying: list[int] = []
        self.rested: list[tuple[int, int]] = []
        self.again: set[int] = set()
        self.lost: list[int] = []
        self.seq = 0
        self.sent_up_to = 0
        self.disk: tuple[list[tuple[int, int]], list[int], int] = ([], [], 0)

    @rule(priorities=st.lists(st.integers(0, 1), min_size=1, max_size=2 * ROOM))
    def append(self, priorities: list[int]) -> None:
        for priority in priorities:
            self.put(priority)

    def put(self, priority: int, explains: str = "") -> None:
        self.seq += 1
        assert self.outbox.append("t", body, priority, explains) == self.seq
        self.rows.append((self.seq, priority))
        while len(self.rows) > ROOM:
            free = [row for row in self.rows if row[0] not in self.flying]
            victim = min(free, key=lambda row: (row[1], row[0]))
            self.rows.remove(victim)
            self.lost.append(victim[0])
            self.again.discard(victim[0])

    @rule()
    def commit(self) -> None:
        self.outbox.commit()
        assert not self.outbox.trouble
        self.disk = (sorted(self.rows + self.rested), list(self.lost), self.seq)

    @rule(limit=st.integers(0, 4))
    def send(self, limit: int) -> None:
        safe = {seq for seq, _ in self.disk[0]}
        newest = max(self.flying, default=0)
        want = [seq for seq, _ in self.rows if seq in safe and seq > max(newest, self.sent_up_to)][:limit]
        rows = self.outbox.unsent(limit)
        assert [row.seq for row in rows] == want
        assert [row.body for row in rows] == [body(seq) for seq in want]
        self.flying += want
        self.sent_up_to = max([self.sent_up_to, *want])

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        self.take_ack(data.draw(st.sampled_from(self.flying)))

    def take_ack(self, seq: int) -> None:
        self.outbox.acked(seq)
        self.flying.remove(seq)
        if seq in self.again:
            self.again.remove(seq)  # it has rested once
        else:
            self.rested += [row for row in self.rows if row[0] == seq]
        self.rows = [row for row in self.rows if row[0] != seq]

    @rule(limit=st.integers(1, 4), broken=st.booleans())
    def round_trip(self, limit: int, broken: bool) -> None:
        """What usually happens, so that it happens often; and now and then the connection breaks right after."""
        self.commit()
        self.send(limit)
        for seq in list(self.flying)[:limit]:
            self.take_ack(seq)
        if broken:
            self.connection_lost()

    @rule()
    def connection_lost(self) -> None:
        self.outbox.rewind()
        self.again |= {seq for seq, _ in self.rested}
        self.rows, self.rested = sorted(self.rows + self.rested), []
        self.flying, self.sent_up_to = [], 0

    @precondition(lambda self: self.lost)
    @rule()
    def tell_losses(self) -> None:
        (loss,) = self.outbox.losses()
        self.lost.clear()
        self.put(9, explains=loss.reason)

    @rule()
    def crash(self) -> None:
        self.crashes += 1
        path = crashed(self.outbox, self.path, self.folder / str(self.crashes))
        self.outbox.close()
        self.path, self.outbox, self.again = path, opened(path, max_rows=ROOM), set()
        rows, lost, self.seq = self.disk
        self.rows, self.lost, self.rested, self.flying, self.sent_up_to = list(rows), list(lost), [], [], 0

    @rule()
    def restart(self) -> None:
        self.outbox.close()
        self.outbox, self.again = opened(self.path, max_rows=ROOM), set()
        self.disk = (list(self.rows), list(self.lost), self.seq)
        self.rested, self.flying, self.sent_up_to = [], [], 0

    @invariant()
    def nothing_is_lost_that_is_not_told(self) -> None:
        assert len(self.outbox) == len(self.rows)
        losses = self.outbox.losses()
        assert sum(loss.count for loss in losses) == len(self.lost)
        if self.lost:
            assert (losses[0].first, losses[0].last) == (min(self.lost), max(self.lost))

    def teardown(self) -> None:
        self.outbox.close()
        outbox_module.REST_S = self.rest_s
        shutil.rmtree(self.folder)


AgainstAList.TestCase.settings = settings(
    max_examples=int(os.environ.get("LOOKOUT_EXAMPLES", "25")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAgainstAList = AgainstAList.TestCase


def test_an_event_is_handed_out_only_after_it_is_on_the_disk(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.db")
    outbox.append("t", body)
    assert seqs(outbox) == []
    outbox.commit()
    assert seqs(outbox) == [1]
    outbox.close()


def test_what_was_acknowledged_a_moment_ago_is_sent_again_when_the_connection_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that crashes may lose what it has just acknowledged."""
    for path in (tmp_path / "o.db", None):
        outbox = filled(path, 4) if path else opened(None)
        if not path:
            for _ in range(4):
                outbox.append("t", body)
        for seq in seqs(outbox)[:3]:
            outbox.acked(seq)
        outbox.commit()
        assert len(outbox) == 1
        outbox.rewind()
        assert [row.body for row in outbox.unsent(9)] == [body(seq) for seq in (1, 2, 3, 4)]
        for seq in (1, 2, 3, 4):
            outbox.acked(seq)
        monkeypatch.setattr(outbox_module, "REST_S", 0.0)  # time goes by
        outbox.commit()
        monkeypatch.undo()
        outbox.rewind()
        assert seqs(outbox) == []
        outbox.close()


def test_what_is_sent_again_is_the_oldest_once_more(tmp_path: Path) -> None:
    for path in (tmp_path / "o.db", None):
        outbox = opened(path, max_rows=4)
        for _ in range(4):
            outbox.append("t", body)
        outbox.commit()
        assert seqs(outbox) == [1, 2, 3, 4]
        outbox.acked(2)
        outbox.rewind()
        outbox.append("t", body)
        outbox.append("t", body)
        outbox.commit()
        assert seqs(outbox) == [3, 4, 5, 6]
        (loss,) = outbox.losses()
        assert (loss.first, loss.last, loss.count) == (1, 2, 2)
        outbox.close()


def test_numbers_go_on_after_a_restart_even_when_nothing_waits(tmp_path: Path) -> None:
    outbox = filled(tmp_path / "o.db", 3)
    for seq in seqs(outbox):
        outbox.acked(seq)
    outbox.close()
    again = opened(tmp_path / "o.db")
    assert len(again) == 0
    assert again.append("t", body) == 4
    again.close()


def test_bytes_are_bounded_too(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.db", max_mb=0.01)
    for _ in range(30):
        outbox.append("t", lambda seq: body(seq, 1000))
    outbox.commit()
    assert 8 <= len(outbox) <= 10
    (loss,) = outbox.losses()
    assert (loss.reason, loss.first, loss.count) == ("full", 1, 30 - len(outbox))
    outbox.close()


def test_what_expired_is_given_up_and_told() -> None:
    clock = FixedClock(1000.0)
    outbox = Outbox(config.Outbox(durability="memory", expiry_s=60), None, clock)
    outbox.append("t", body)
    clock.wall(30.0)  # time goes by
    outbox.append("t", body)
    clock.wall(80.0)
    assert seqs(outbox) == [2]
    assert [(loss.reason, loss.first, loss.count) for loss in outbox.losses()] == [("expired", 1, 1)]


def test_memory_alone_hands_out_at_once_and_is_bounded() -> None:
    outbox = opened(None, max_rows=100)
    for _ in range(150):
        outbox.append("t", body)
    assert seqs(outbox) == list(range(51, 151))
    assert outbox.due() == float("inf")


def test_a_second_process_on_the_same_file_is_told_so(tmp_path: Path) -> None:
    first = filled(tmp_path / "o.db", 1)
    second = opened(tmp_path / "o.db")
    assert "locked" in second.trouble
    second.append("t", body)
    assert seqs(second) == [1]  # from memory
    second.close()
    assert seqs(first) == [1]
    first.close()


def test_a_folder_that_cannot_be_written_costs_safety_not_events(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outbox = opened(tmp_path / "file" / "o.db")
    assert outbox.trouble
    for _ in range(outbox_module.RAM_ROWS + 10):
        outbox.append("t", body)
    assert outbox_module.RAM_ROWS * 0.9 < len(outbox) <= outbox_module.RAM_ROWS
    assert sum(loss.count for loss in outbox.losses()) == outbox_module.RAM_ROWS + 10 - len(outbox)
    assert len(seqs(outbox)) == len(outbox)
    outbox.close()


def test_a_disk_that_fails_for_a_while_gets_everything_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = filled(tmp_path / "o.db", 5)
    assert seqs(outbox, 2) == [1, 2]
    write = store_module.Store.write

    def full(*_: object) -> None:
        raise StoreError("o.db: database or disk is full")

    monkeypatch.setattr(store_module.Store, "write", full)
    for _ in range(5):
        outbox.append("t", body)
    outbox.commit()
    assert outbox.trouble == "o.db: database or disk is full"
    outbox.acked(1)
    assert seqs(outbox) == [3, 4, 5, 6, 7, 8, 9, 10]
    outbox.acked(6)
    monkeypatch.setattr(store_module.Store, "write", write)
    monkeypatch.setattr(outbox, "_retry_at", float("-inf"))
    outbox.commit()
    assert not outbox.trouble
    outbox.close()
    again = opened(tmp_path / "o.db")
    assert seqs(again) == [2, 3, 4, 5, 7, 8, 9, 10]
    assert again.append("t", body) == 11
    again.close()
