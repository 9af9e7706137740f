"""A config that is not good, when a reload comes: refused with its line; the old one runs on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import ROOT, Row


def test_it_is_refused_and_the_old_one_runs_on(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("bad config on reload", "unknown key + SIGHUP", "refused with its line; `check` says so too")
    agent = start(YARD)
    agent.write(YARD + "colour = 3\n")
    agent.process.signal(signal.SIGHUP)
    agent.wait(lambda: agent.events("config_rejected"), "the event")
    reason = agent.events("config_rejected")[0]["detail"]["reason"]
    assert "agent.toml:16: cameras.yard" in reason
    command = [sys.executable, "-m", "agent", "check", str(agent.folder / "agent.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"lookout: {reason}\n")
    agent.frames()
    with told.recovery():
        agent.write(YARD)
        agent.process.signal(signal.SIGHUP)
        agent.wait(lambda: agent.events("config_changed"), "the good one taken over")
    told.seen = "refused by both with the same line; frames went on"
