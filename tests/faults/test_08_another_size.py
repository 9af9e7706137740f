"""The picture's size changes in mid-stream: it is told and the next frame is looked at."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.conftest import Faulty, Row, full

DOOR = "[cameras.yard.zones.door]\npolygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]\n[cameras.yard.anomalies.tamper]\n"


@full
def test_another_size_is_told_and_looked_at(faulty: Faulty, row: Callable[..., Row]) -> None:
    told = row("resolution changes", "640x480 becomes 160x240 and again 640x480", "told; zones scaled; no gap")
    agent = faulty(DOOR)
    agent.frames()
    faulty.camera("small")
    agent.wait(lambda: "its picture is now 160x240, was 640x480" in agent.process.log(), "the change told")
    agent.frames()
    assert agent.picture().shape == (240, 160, 3)
    with told.recovery():
        faulty.camera("ok")
        agent.frames()
    agent.wait(lambda: agent.snapshot("yard") and agent.picture().shape == (480, 640, 3), "the first size")
    assert b"offline" not in agent.of("yard/status")[1:]
    assert "Traceback" not in agent.process.log()
    told.seen = "never offline"
