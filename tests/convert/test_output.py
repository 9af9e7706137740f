"""Files are whole or not there, whatever stops the writer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from convert import ConvertError, output

ROOT = Path(__file__).parents[2]


def test_all_files_are_replaced(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    output.write({tmp_path / "a": b"new", tmp_path / "sub" / "b": b"other"})
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "sub" / "b").read_bytes() == b"other"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "sub"]


def test_a_disk_that_fills_up_leaves_the_old_files_and_no_other(tmp_path):
    """RLIMIT_FSIZE: the second file is larger than the kernel lets it become."""
    (tmp_path / "a").write_bytes(b"old")
    code = f"""
import resource, sys
from pathlib import Path
from convert import ConvertError, output
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    output.write({{Path({str(tmp_path / "a")!r}): b"new", Path({str(tmp_path / "b")!r}): b"x" * 9000}})
except ConvertError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == f"output {tmp_path / 'b'}: File too large; nothing was written"
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_an_interrupt_leaves_the_old_files_and_no_other(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    real = Path.write_bytes

    def interrupted(self, data):
        real(self, data[:1])
        if self.name.startswith(".b"):
            raise KeyboardInterrupt
        return len(data)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        output.write({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_folder_that_cannot_be_written_is_named_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvertError, match=r"output .*file"):
        output.writable(tmp_path / "file")
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(ConvertError, match="Permission denied"):
            output.writable(tmp_path)
    output.writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_what_is_no_file_is_never_replaced(tmp_path):
    """As root, replacing /dev/null would take it from the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConvertError, match="pipe: is there and is no file; nothing was written"):
        output.write({tmp_path / "a": b"new", tmp_path / "pipe": b"new"})
    assert (tmp_path / "pipe").is_fifo()
    assert not (tmp_path / "a").exists()
