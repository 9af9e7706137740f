"""A camera that gives the same picture again and again: taken for lost until the picture changes."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.conftest import Faulty, Row, full


@full
def test_the_same_picture_is_no_picture(faulty: Faulty, row: Callable[..., Row]) -> None:
    told = row("frozen frames", "the same picture again and again", "offline after stale_s; back on change")
    agent = faulty()
    faulty.camera("frozen")
    agent.wait(lambda: agent.of("yard/status")[-1] == b"offline", "the camera told offline", 8)
    agent.wait(lambda: "the same picture for 1.5 s" in agent.process.log(), "the reason")
    with told.recovery():
        faulty.camera("ok")
        agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera back")
    told.seen = "offline, with the reason; back by itself"
