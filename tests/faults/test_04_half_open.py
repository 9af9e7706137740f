"""A network camera whose line is open and silent: noticed after read_timeout_s, and the stream is taken up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.fakes.agent import Running
from tests.fakes.webcam import Webcam
from tests.faults.conftest import Row, full

CAMERA = '[cameras.yard]\nkind = "rtsp"\nurl = "{}"\nread_timeout_s = 1.5\nopen_timeout_s = 2.0\n'


@pytest.fixture
def webcam() -> Iterator[Webcam]:
    webcam = Webcam()
    yield webcam
    webcam.close()


@full
def test_a_silent_line_is_noticed(start: Callable[..., Running], webcam: Webcam, row: Callable[..., Row]) -> None:
    told = row("network camera half-open", "the server sends nothing more", "offline after the time-out; back")
    agent = start(CAMERA.format(webcam.url))
    webcam.silent = True
    agent.wait(lambda: agent.of("yard/status")[-1] == b"offline", "the camera told offline", 10)
    with told.recovery():
        webcam.silent = False
        agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera back")
    agent.frames()
    told.seen = "offline, back by itself"
