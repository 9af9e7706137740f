"""Where a replay's lines go."""

import os
import threading
from pathlib import Path

from agent.cli.replay import written


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    """As root, replacing /dev/null would take it from the whole machine."""
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    with written(pipe) as file:
        assert file
        file.write("a line\n")
    reader.join()
    assert read == ["a line\n"]
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
