"""RTSP's bytes changed on the way, in both directions: the agent lives, and the camera comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.capture.test_rtsp import Server, _gstreamer
from tests.fakes.agent import Running
from tests.faults.conftest import full
from tests.faults.test_fuzz_lines import watch

__all__ = ["_gstreamer"]  # a fixture


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.kill()


@full
@pytest.mark.parametrize("stream", ["h264", "jpeg"])
def test_it_comes_right(start: Callable[..., Running], server: Server, stream: str) -> None:
    watch(start, server.port, f"rtsp://127.0.0.1:{{}}/{stream}")
