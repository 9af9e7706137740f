"""A broker's name that is not known, or whose name server does not answer: cameras go on, and it can be stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.fakes.agent import HEAD, YARD, Running
from tests.fakes.mosquitto import until
from tests.faults.conftest import Row, full


@full
def test_cameras_go_on_and_it_can_be_stopped(
    tmp_path: Path, start: Callable[..., Running], row: Callable[..., Row]
) -> None:
    told = row("DNS fails", "a name under .invalid", "one line, tried again; cameras unaffected; ends in time")
    head = HEAD.replace("[mqtt]\n", '[mqtt]\nhost = "broker.invalid"\n')
    agent = start(YARD, head=head, wait=False)
    until(lambda: "camera yard: online" in agent.process.log(), "the camera", 60)
    until(lambda: "retrying" in agent.process.log(), "the broker's trouble", 60)
    time.sleep(2.0)
    complaints = agent.process.log().count("retrying")
    begin = time.monotonic()
    assert agent.process.stop(signal.SIGTERM) == 0
    told.seen = f"{complaints} line(s) in 2 s; ended after {time.monotonic() - begin:.1f} s"
    assert complaints <= 2
    assert time.monotonic() - begin < 15
