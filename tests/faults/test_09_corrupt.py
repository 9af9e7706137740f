"""Corrupt pictures in a stream: they pass, the stream goes on."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.agent import Running
from tests.fakes.webcam import Webcam
from tests.faults.conftest import Row, full
from tests.faults.test_04_half_open import CAMERA, webcam

__all__ = ["webcam"]  # a fixture


@full
def test_they_pass(start: Callable[..., Running], webcam: Webcam, row: Callable[..., Row]) -> None:
    told = row("corrupt packets", "two thirds of each JPEG overwritten", "passed over; the agent lives; back")
    agent = start(CAMERA.format(webcam.url))
    before, webcam.corrupt = webcam.seq, True
    agent.wait(lambda: webcam.seq > before + 30, "thirty corrupt pictures")
    with told.recovery():
        webcam.corrupt = False
        agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera there")
        agent.frames()
    told.seen = "lives; pictures go on"
    assert "Traceback" not in agent.process.log()
