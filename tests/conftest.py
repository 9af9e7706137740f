"""Fixtures that every room's tests share."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.mosquitto import RUNNING

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real models, clips and ground truth; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("LOOKOUT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set LOOKOUT_DATA to its folder")
    return folder


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that ran in this process has set up its own logging; the next test has pytest's again."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Brokers, agents and browsers that a failing test left behind are ended; those of its module go on."""
    before = set(RUNNING)
    yield
    for process in RUNNING - before:
        process.kill()
