"""The journal: what it returned is what it kept, whatever happens to the process or the file."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.track import journal
from agent.track.journal import Journal, JournalError, parse

A, B = ("street", "door", "person", "in"), ("street", 'tür \u2028 "1"\n', "car", "out")


def written(path: Path, count: int = 20) -> dict[tuple[str, ...], int]:
    """A journal with `count` changes of two keys in turn; returns what it holds."""
    book = Journal(path)
    for value in range(1, count + 1):
        book.write((A, B)[value % 2], value)
    book.close()
    return {A: count - count % 2, B: count - 1 + count % 2}


def reopened(path: Path) -> dict[tuple[str, ...], int]:
    book = Journal(path)
    book.close()
    return book.values


def test_values_are_there_again_after_close(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "counts"
    expected = written(path)

    assert reopened(path) == expected


def test_values_are_in_the_file_without_close(tmp_path: Path) -> None:
    book = Journal(tmp_path / "counts")
    book.write(A, 41)

    text = (tmp_path / "counts").read_bytes()
    assert parse(text) == ({A: 41}, len(text), 0)
    book.close()


def test_a_line_can_be_read_by_people(tmp_path: Path) -> None:
    written(tmp_path / "counts", 2)

    assert (tmp_path / "counts").read_text().split("\n")[1][9:] == '["street","door","person","in",2]'


def test_a_journal_belongs_to_one_agent_at_a_time(tmp_path: Path) -> None:
    first = Journal(tmp_path / "counts")

    with pytest.raises(JournalError, match=r"counts: another agent has it open$"):
        Journal(tmp_path / "counts")
    first.close()
    reopened(tmp_path / "counts")


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(JournalError, match=r"/file: File exists$"):
        Journal(tmp_path / "file" / "counts")


@settings(deadline=None)
@given(st.data())
def test_any_flipped_bit_costs_at_most_its_line_and_never_makes_up_a_value(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "counts"
    expected = written(path)
    text = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    text[bit // 8] ^= 1 << bit % 8
    path.write_bytes(text)

    values = reopened(path)

    assert values.keys() == expected.keys()
    assert all(values[key] in (value, value - 2) for key, value in expected.items())
    assert reopened(path) == values  # mended: the second start finds nothing wrong


@settings(deadline=None)
@given(st.data())
def test_a_file_cut_at_any_length_holds_what_was_written_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "counts"
    written(path)
    text = path.read_bytes()
    length = data.draw(st.integers(0, len(text)))
    path.write_bytes(text[:length])
    whole = text[:length].count(b"\n")

    book = Journal(path)
    book.write(A, 1000)
    book.close()

    assert reopened(path) == {A: 1000} | ({B: whole - 1 + whole % 2} if whole else {})


@pytest.mark.parametrize("rubbish", [b"SQLite format 3\0", b"\0" * 4096, b"\n", b"00000000 \n", b"\xff" * 100])
def test_a_file_that_is_none_of_ours_is_set_aside_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rubbish: bytes
) -> None:
    path = tmp_path / "counts"
    for n in (1, 2):
        path.write_bytes(rubbish)
        assert reopened(path) == {}
        assert (tmp_path / f"counts.corrupt-{n}").read_bytes() == rubbish

    written(path)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2
    assert "set aside as counts.corrupt-1" in warnings[0]


def test_damage_in_the_middle_is_set_aside_and_the_rest_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "counts"
    expected = written(path)
    text = path.read_bytes()
    path.write_bytes(text.replace(b'"in",2]', b'"in",9]', 1))

    assert reopened(path) == expected
    assert "is damaged: set aside as counts.corrupt-1, 2 value(s) kept" in caplog.text


def test_files_set_aside_do_not_fill_the_disk(tmp_path: Path) -> None:
    for _ in range(30):
        (tmp_path / "counts").write_bytes(b"rubbish")
        reopened(tmp_path / "counts")

    assert len(list(tmp_path.iterdir())) == 1 + 9


def test_an_absurdly_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "counts")
    monkeypatch.setattr(journal, "_ABSURD", 100)

    assert reopened(tmp_path / "counts") == {}
    assert (tmp_path / "counts.corrupt-1").exists()


def test_a_long_file_is_rewritten_while_writing_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    path, changes = tmp_path / "counts", 30_000
    book = Journal(path, sync_s=0.001, long=2000)
    inode, rewritten = path.stat().st_ino, 0
    for value in range(1, changes + 1):
        book.write((A, B)[value % 2], value)
        if value % 100 == 0 and path.stat().st_ino != inode:
            inode, rewritten = path.stat().st_ino, rewritten + 1
            assert parse(path.read_bytes())[0][A] == value  # the very last one is in the new file
    book.close()

    assert rewritten > 2
    assert path.stat().st_size < changes * 20
    assert reopened(path) == {A: changes, B: changes - 1}
    assert [file.name for file in tmp_path.iterdir()] == ["counts"]


def test_a_file_that_is_long_by_its_keys_alone_is_not_rewritten_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    book = Journal(path)
    for value in (1, 2):
        for number in range(100):
            book.write(("street", str(number), "car", "in"), value)
    book.close()
    size, pause = path.stat().st_size, threading.Event()

    book = Journal(path, sync_s=0.001, long=100)
    book.write(A, 1)
    while (rewritten := path.stat().st_size) > size:
        pause.wait(0.001)
    assert rewritten < size * 0.6
    for value in range(2, 7):
        book.write(A, value)
        pause.wait(0.01)
    book.close()
    assert path.stat().st_size == rewritten + 5 * len(b'12345678 ["street","door","person","in",1]\n')


def test_a_full_disk_costs_one_warning_and_is_made_up_for_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/dev/full takes no byte; the rewrite that follows puts a file in the place of the link."""
    caplog.set_level(logging.INFO)
    path, new, retry = tmp_path / "counts", tmp_path / "counts.new", threading.Event()
    path.symlink_to("/dev/full")
    new.mkdir()  # the rewrite fails too, at first
    monkeypatch.setattr(journal, "_RETRY_S", 0.01)
    book = Journal(path, sync_s=0.01)

    for value in range(1, 11):
        book.write(A, value)
    retry.wait(0.1)
    assert book.values == {A: 10}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "No space left on device; kept in memory" in caplog.text

    new.rmdir()
    while "on disk again" not in caplog.text:
        retry.wait(0.01)
    book.write(B, 1)
    book.close()
    assert reopened(path) == {A: 10, B: 1}


def test_a_file_is_let_go_of_whenever_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    for value in range(200):  # the thread wakes every 0.1 ms: close meets it at each of its steps
        book = Journal(path, sync_s=0.0001)
        book.write(A, value)
        book.close(timeout=0.5)
        assert reopened(path) == {A: value}
