"""A Raspberry Pi 4's /proc, /sys and /run, as files that a test may change."""

import shutil
from pathlib import Path

import pytest

from agent.device.health import Board

FAKES = Path(__file__).parent.parent / "fakes"


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    """A folder with proc/, sys/ and run/."""
    for tree in ("proc", "sys"):
        shutil.copytree(FAKES / tree, tmp_path / tree)
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture
def board(pi: Path) -> Board:
    return Board(pi / "proc", pi / "sys", pi / "run")
