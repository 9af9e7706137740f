"""The whole process stands still: no heartbeat, as systemd must see; it beats again when it goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.device.test_watchdog import Systemd
from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Row


def test_no_thread_beats_for_a_loop_that_stands(
    tmp_path: Path, start: Callable[..., Running], row: Callable[..., Row]
) -> None:
    told = row(
        "watchdog missed", "SIGSTOP for 2 s, WatchdogSec=1 (a loop that hangs: 13)", "silence; beats when it goes on"
    )
    systemd = Systemd(str(tmp_path / "notify"))
    agent = start(YARD, environ={**systemd.environ, "WATCHDOG_USEC": "1000000"})
    heard: list[str] = []
    agent.wait(lambda: heard.extend(systemd.heard()) or heard.count("WATCHDOG=1") > 2, "heartbeats")
    agent.process.signal(signal.SIGSTOP)
    systemd.heard()
    time.sleep(2.0)
    assert systemd.heard() == []
    with told.recovery():
        agent.process.signal(signal.SIGCONT)
        agent.wait(lambda: "WATCHDOG=1" in systemd.heard(), "heartbeats again")
        agent.frames()
    systemd.close()
    assert agent.of("status") == [b"online"]
    told.seen = "silent for all of it; beats and frames after"
