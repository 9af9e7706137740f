"""A camera whose stamps stand still or run backwards: time goes on all the same."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import FAULTY, Faulty, Row, full

ANOMALY = "[cameras.yard.anomalies.tamper]\nlearn_s = 2.0\nhold_s = 1.0\nclear_s = 1.0\n"


@full
@pytest.mark.parametrize("word", ["backwards", "same_time", "ahead"])
def test_it_goes_on_looking(faulty: Faulty, row: Callable[..., Row], word: str) -> None:
    told = row("stamps backwards, equal, far ahead", f"frames stamped so ({word})", "looked at as before")
    agent = faulty(ANOMALY, FAULTY + "fps = 5\n")
    agent.frames()
    faulty.camera(word)
    time.sleep(1.0)
    agent.frames()
    with told.recovery():
        faulty.camera("ok")
        agent.frames()
    assert "Traceback" not in agent.process.log()
    assert b"offline" not in agent.of("yard/status")[1:]
    told.seen = "never offline, no gap"
