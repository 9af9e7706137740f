"""Every secret that a config can hold, planted: none is in a log, a message, a page, or what a command prints."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.agent import HEAD, YARD, Running
from tests.fakes.mosquitto import Broker, free_port
from tests.faults.conftest import ROOT

CANARY = "c4n4ryBird"
CAMERAS = f"""
[cameras.gate]
kind = "rtsp"
url = "rtsp://user:{CANARY}1@127.0.0.1:{{port}}/stream?token={CANARY}2"
open_timeout_s = 1.0
[cameras.door]
kind = "rtsp"
url = "http://user:{CANARY}3@127.0.0.1:{{port}}/stream?password={CANARY}4"
[web]
enabled = true
port = {{web}}
"""
PATHS = ("", "api/state", "api/config", "api/model", "metrics", "config", "state")


def printed(*command: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "agent", *map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout + done.stderr
    return done.stdout + done.stderr


def test_no_secret_gets_out(tmp_path: Path, start: Callable[..., Running]) -> None:
    (tmp_path / "password").write_text(f"{CANARY}5\n")
    head = HEAD.replace("[mqtt]\n", f'[mqtt]\nusername = "pi"\npassword_file = "{tmp_path}/password"\n')
    web = free_port()
    agent = start(YARD + CAMERAS.format(port=free_port(), web=web), head=head, broker=Broker(tmp_path))
    agent.wait(lambda: agent.of("gate/status") and agent.of("door/status"), "the cameras told offline")
    agent.health()
    toml = tmp_path / "agent.toml"
    good = toml.read_text()
    told = {"check": printed("check", toml), "doctor": printed("doctor", toml)}
    for path in PATHS:
        told[f"page /{path}"] = page(f"http://127.0.0.1:{web}/{path}")
    toml.write_text(good.replace("rtsp://user", "rtsp:/user"))
    told["check of a bad address"] = printed("check", toml)
    assert not agent.ask("reload")["ok"]
    told["log"] = agent.process.log()
    told["MQTT"] = b"\n".join(payload for _, payload, _ in agent.heard.messages).decode("latin-1")
    leaks = [
        f"{where}: {text[max(0, text.find(CANARY) - 60) :][:90]!r}" for where, text in told.items() if CANARY in text
    ]
    assert not leaks, "\n".join(leaks)


def test_a_crash_writes_down_nothing(tmp_path: Path, start: Callable[..., Running]) -> None:
    """Where core dumps are switched on for whoever starts the agent."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0 or not Path("/proc/sys/kernel/core_pattern").read_text().startswith("core"):
        pytest.skip("core dumps are off here, or go elsewhere")
    before = set(ROOT.glob("core*"))
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        (tmp_path / "password").write_text(f"{CANARY}6\n")
        agent = start(
            YARD, head=HEAD.replace("[mqtt]\n", f'[mqtt]\nusername = "pi"\npassword_file = "{tmp_path}/password"\n')
        )
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert agent.process.stop(signal.SIGSEGV) == -signal.SIGSEGV
    assert set(ROOT.glob("core*")) == before


def page(url: str) -> str:
    """What a browser gets; "" for what is not there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read(1_000_000), "latin-1")
    except OSError:
        return ""
