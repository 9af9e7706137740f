"""An inference that never returns: no heartbeat any more, so that systemd kills the process and starts it again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.device.test_watchdog import Systemd
from tests.faults.conftest import Faulty, Row, full


@full
def test_the_heart_stops_and_a_new_start_works(tmp_path: Path, faulty: Faulty, row: Callable[..., Row]) -> None:
    told = row("inference hangs", "invoke() never returns", "no heartbeat; killed by systemd; looks again")
    systemd = Systemd(str(tmp_path / "notify"))
    agent = faulty("[detect]\nmode = 'full'\n", environ={**systemd.environ, "WATCHDOG_USEC": "1000000"})
    heard: list[str] = []
    agent.wait(lambda: heard.extend(systemd.heard()) or heard.count("WATCHDOG=1") > 2, "heartbeats")
    faulty.model("hang")
    time.sleep(1.0)
    systemd.heard()
    time.sleep(2.0)
    assert "WATCHDOG=1" not in systemd.heard()
    agent.process.stop()
    faulty.model("ok")
    with told.recovery():
        agent.process.start()
        agent.wait(lambda: "WATCHDOG=1" in systemd.heard(), "heartbeats again")
        agent.frames()
    systemd.close()
    told.seen = "silent within 1 s"
