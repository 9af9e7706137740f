"""A disk that takes 2 s for each sync: frames and events do not wait for it, but for what must be safe."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Harm, Row, full
from tests.faults.test_31_outbox_damaged import events_come


@full
def test_frames_do_not_wait(start: Callable[..., Running], harm: Harm, row: Callable[..., Row]) -> None:
    told = row("slow fsync", "2 s a sync (LD_PRELOAD)", "frames go on; events later, none lost")
    agent = start(YARD, environ=harm.environ)
    harm(sync_ms=2000)
    agent.wait(lambda: agent.of("health"), "health")
    n = len(agent.of("health"))
    agent.wait(lambda: len(agent.of("health")) > n + 2, "health as before")
    assert agent.health()["fps"] > 5
    events_come(agent)
    with told.recovery():
        harm()
        events_come(agent)
    told.seen = f"{agent.health()['fps']:.0f} frames/s all the time"
