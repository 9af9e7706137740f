"""The lanes of `make arm64` run two at a time in one folder: one that ends leaves the other's machine standing."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "system" / "run.sh"


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[Path]:
    """Where the throw-away layer of a lane that runs would be mounted."""
    layer = tmp_path / "run" / "upper"
    layer.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "layer", str(layer)], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    yield layer
    subprocess.run(["umount", "-l", str(layer)], capture_output=True)


def test_a_lane_that_ends_takes_away_only_what_it_laid_itself(layer: Path, tmp_path: Path) -> None:
    lane = "true"  # any command is a lane; this one lays nothing
    ran = subprocess.run(
        ["sh", str(RUN), lane], env=os.environ | {"LAB": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    if "RESULT skip" in ran.stdout:
        pytest.skip(ran.stdout.strip())
    assert f"== {lane}\n" in ran.stdout
    assert layer.is_mount()
