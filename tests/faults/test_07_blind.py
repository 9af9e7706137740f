"""A black, white or noisy picture: one anomaly that says which, and no storm of objects."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import Faulty, Row, full
from tests.faults.test_11_time_stamps import ANOMALY


@full
@pytest.mark.parametrize("word", ["black", "white", "noise"])
def test_it_is_told_once_and_over_when_the_picture_is_back(faulty: Faulty, row: Callable[..., Row], word: str) -> None:
    told = row("black, white, noise", "such frames (black, white, noise)", "an anomaly; no storm of objects")
    agent = faulty(ANOMALY)
    agent.wait(lambda: agent.of("yard/anomalies/active"), "the camera watched")
    time.sleep(3.0)  # what is usual has been learned
    agent.frames()
    before = len(agent.events("track_start", "yard/events"))
    faulty.camera(word)
    agent.wait(lambda: agent.of("yard/anomalies/active")[-1] == b"1", "the anomaly")
    storm = len(agent.events("track_start", "yard/events")) - before
    with told.recovery():
        faulty.camera("ok")
        agent.wait(lambda: agent.of("yard/anomalies/active")[-1] == b"0", "its end")
    begun, over = (json.loads(payload) for payload in agent.of("yard/anomalies"))
    assert (begun["kind"], begun["active"], over["active"]) == ("tamper", True, False)
    assert begun["episode"] == over["episode"]
    assert storm < 10
    told.seen = f"one anomaly of its own each, {storm} objects; over when the picture is back"
