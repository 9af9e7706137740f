"""A processor at 30 %: fewer frames, each as new as before; all of them again when it is over."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from tests.fakes.agent import Running
from tests.faults.conftest import Row, full
from tests.faults.test_12_slow_model import grows_older

RATE = 30.0
CAMERA = f'[cameras.yard]\nkind = "synthetic"\nrate = {RATE}\n[detect]\nmode = "full"\n'
PERIOD_S, SHARE = 0.1, 0.3


@contextlib.contextmanager
def throttled(agent: Running) -> Iterator[None]:
    """It runs 30 ms of each 100: as cpulimit does it, without root."""
    over = threading.Event()

    def alternate() -> None:
        while not over.is_set():
            agent.process.signal(signal.SIGSTOP)
            over.wait(PERIOD_S * (1 - SHARE))
            agent.process.signal(signal.SIGCONT)
            over.wait(PERIOD_S * SHARE)

    thread = threading.Thread(target=alternate)
    thread.start()
    yield
    over.set()
    thread.join()


@full
def test_frames_are_fewer_and_no_older(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row(
        "processor throttled to 30 %", "SIGSTOP 70 ms of each 100", "fewer frames; latency bounded; never offline"
    )
    agent = start(CAMERA)
    agent.wait(lambda: agent.health()["fps"] > 1, "frames looked at")
    usual = agent.health()["fps"]
    with throttled(agent):
        told_before = len(agent.of("health"))
        agent.wait(lambda: len(agent.of("health")) > told_before + 4, "a look at it under the limit", 90)
        slow = agent.health()["fps"]
        older = grows_older(agent, RATE, 8.0)
    with told.recovery():
        agent.frames()
    assert 0 < slow < usual
    assert older < 1.5
    assert b"offline" not in agent.of("yard/status")[1:]
    assert agent.of("status") == [b"online"]
    told.seen = f"{usual:.0f} frames/s became {slow:.0f}; in 8 s what is looked at grew {max(0.0, older):.1f} s older"
