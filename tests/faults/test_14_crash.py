"""A native crash ends the process: the will speaks, and the next start goes on; one on trial is left."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Row, full
from tests.test_updating import SHIPPED, another


def crash(agent: Running) -> None:
    births = agent.of("status").count(b"online")
    agent.process.stop(signal.SIGSEGV)
    agent.process.start()
    agent.wait(lambda: agent.of("status").count(b"online") > births, "the next birth")


def test_it_is_told_and_the_next_start_goes_on(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("native crash", "SIGSEGV", "the will says offline; started again, it goes on")
    agent = start(YARD)
    with told.recovery():
        crash(agent)
        agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera")
    assert agent.of("status") == [b"online", b"offline", b"online"]
    told.seen = "offline told by the broker at once"


@full
def test_a_model_on_trial_that_crashes_is_left(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("native crash", "SIGSEGV; again and again with a model on trial", "the model before is back")
    agent = start(YARD)
    assert agent.update(another("crashes"))["ok"]
    with told.recovery():
        for _ in range(3):
            crash(agent)
    state = json.loads((agent.folder / "state" / "models" / "state.json").read_text())
    assert (state["chosen"], len(state["refused"])) == (None, 1)
    told.seen = f"offline told at once; back on {SHIPPED.stem} at the third start"
