"""A network camera that restarts, on the same port: the stream is taken up again."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.agent import Running
from tests.fakes.webcam import Webcam
from tests.faults.conftest import Row, full
from tests.faults.test_04_half_open import CAMERA


@full
def test_it_is_taken_up_again(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("network camera restarts", "server closed, another on its port", "offline, then taken up again")
    webcam = Webcam()
    agent = start(CAMERA.format(webcam.url))
    webcam.close()
    agent.wait(lambda: agent.of("yard/status")[-1] == b"offline", "the camera told offline", 10)
    with told.recovery():
        webcam = Webcam(webcam.port)
        agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera back")
    agent.frames()
    webcam.close()
    told.seen = "offline, back by itself"
