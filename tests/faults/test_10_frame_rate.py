"""A camera's rate falls to one frame a second, or rises to 120: the newest is looked at, the rest is counted."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.conftest import FAULTY, Faulty, Row, full
from tests.faults.test_12_slow_model import grows_older

RATE = 120.0


@full
def test_the_newest_is_looked_at(faulty: Faulty, row: Callable[..., Row]) -> None:
    told = row("frame rate falls and rises", f"{RATE:g} frames/s, then 1, then {RATE:g}", "newest wins; drops counted")
    agent = faulty("[detect]\nmode = 'full'\n", FAULTY + f"rate = {RATE}\n")
    agent.frames()
    older = grows_older(agent, RATE)
    agent.wait(lambda: agent.health()["dropped_frames"] > RATE, "frames dropped")
    faulty.camera("slow")
    agent.frames()
    agent.wait(lambda: 0.2 < agent.health()["fps"] < 3, "as few looked at as come", 30)
    with told.recovery():
        faulty.camera("ok")
        agent.frames()
    assert b"offline" not in agent.of("yard/status")[1:]
    assert older < 1.0
    told.seen = f"never offline; in 5 s at {RATE:g} frames/s what is looked at grew {max(0.0, older):.2f} s older"
