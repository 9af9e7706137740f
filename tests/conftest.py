"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real models, clips and ground truth; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("LOOKOUT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set LOOKOUT_DATA to its folder")
    return folder
