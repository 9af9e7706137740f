"""A slow leak shows only in hours: `make soak` looks for it and writes its row; here, that the soak itself works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.faults.conftest import ROOT, full


@full
def test_two_minutes_of_it_hold(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.soak", "--minutes", "2", "--rate", "30", "--out", str(tmp_path / "soak")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "soak" / "soak.png").stat().st_size > 1000
