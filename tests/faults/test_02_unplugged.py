"""A camera is unplugged while two run: it is told offline, the other goes on, and it comes back by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fakes.agent import YARD
from tests.faults.conftest import Faulty, Row, full

GATE = YARD.replace("yard", "gate")


@pytest.mark.parametrize("word", ["gone", pytest.param("broken", marks=full)])
def test_the_other_goes_on_and_it_comes_back(faulty: Faulty, row: Callable[..., Row], word: str) -> None:
    told = row("camera unplugged", f"reads raise ({word})", "offline told, others unaffected, back by itself")
    agent = faulty(GATE)
    faulty.camera(word)
    agent.wait(lambda: agent.of("yard/status")[-1] == b"offline", "the camera told offline", 5)
    agent.frames("gate")
    assert agent.of("gate/status")[-1] == b"online"
    with told.recovery():
        faulty.camera("ok")
        agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera back")
    agent.frames("yard")
    told.seen = "offline within 5 s; the other camera went on"
    assert "Traceback" not in agent.process.log()
