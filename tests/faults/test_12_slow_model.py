"""An inference ten times slower than the camera: nothing queues, what is looked at is the newest frame."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.capture.cameras.synthetic import stamped_seq
from tests.fakes.agent import Running
from tests.faults.conftest import FAULTY, Faulty, Row, full

RATE = 25.0  # frames a second; the hook in hooked.py holds each inference up for ten periods


def grows_older(agent: Running, rate: float, seconds: float = 5.0) -> float:
    """By how many seconds the picture that is looked at falls behind the camera in so long: the frames are numbered."""
    seqs, times = [], []
    for pause in (seconds, 0.0):
        agent.wait(lambda: agent.snapshot("yard"), "a snapshot")
        seqs.append(stamped_seq(agent.picture()))
        times.append(time.monotonic())
        time.sleep(pause)
    return (times[1] - times[0]) - (seqs[1] - seqs[0]) % 2**16 / rate


@full
def test_nothing_queues(faulty: Faulty, row: Callable[..., Row]) -> None:
    told = row("inference slower than camera", "0.4 s each at 25 frames/s", "no queue; memory flat; newest frame")
    agent = faulty("[detect]\nmode = 'full'\n", FAULTY + f"rate = {RATE}\n")
    agent.frames()
    faulty.model("slow")
    agent.wait(lambda: agent.health()["fps"] < 5, "the slowness", 30)
    rss, dropped = agent.process.rss_mb, agent.health()["dropped_frames"]
    older = grows_older(agent, RATE, 8.0)
    grown = agent.process.rss_mb - rss
    agent.wait(lambda: agent.health()["dropped_frames"] > dropped + RATE, "drops counted")
    with told.recovery():
        faulty.model("ok")
        agent.wait(lambda: agent.health()["fps"] > 5, "its rate again", 30)
    assert older < 1.5
    assert grown < 10
    assert b"offline" not in agent.of("yard/status")[1:]
    told.seen = f"in 8 s what is looked at grew {max(0.0, older):.1f} s older; {grown:+.1f} MB"
