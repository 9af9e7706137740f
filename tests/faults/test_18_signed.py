"""A manifest of another key or an old version: shown at the agent as a process by the test named here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from tests.faults.conftest import ROOT, Row, full

SHOWN = (
    "tests/test_updating.py::"
    "test_a_new_model_is_offered_and_installed_from_home_assistant_and_nothing_unsigned_after_it"
)


@full
def test_it_is_refused(row: Callable[..., Row]) -> None:
    told = row("manifest of a wrong key, replay", "https server with such offers", "refused, told in model/state")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", SHOWN]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout, done.stdout
    told.seen = "refused with the reason; the accepted model stays (`tests/test_updating.py`)"
