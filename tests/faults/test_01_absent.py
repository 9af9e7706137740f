"""No camera at the start: the agent is ready all the same, says so, and finds the camera when it comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.device.test_watchdog import Systemd
from tests.faults.conftest import Faulty, Row


def test_it_is_ready_without_and_finds_it_later(tmp_path: Path, faulty: Faulty, row: Callable[..., Row]) -> None:
    told = row("camera absent at start", "opening raises", "ready, degraded; camera offline, retained; found later")
    systemd = Systemd(str(tmp_path / "notify"))
    faulty.camera("gone")
    begin = time.monotonic()
    agent = faulty(environ=systemd.environ, wait=False)
    heard: list[str] = []
    agent.wait(lambda: heard.extend(systemd.heard()) or "READY=1" in heard, "READY=1")
    told.seen = f"ready {time.monotonic() - begin:.1f} s after its start"
    agent.wait(lambda: agent.of("yard/status") == [b"offline"], "the camera told offline")
    assert agent.retained()["lookout/pi/yard/status"] == b"offline"
    with told.recovery():
        faulty.camera("ok")
        agent.online()
    systemd.close()
