"""The whole agent as a process: killed, it is said to be offline and comes back; stopped, it says goodbye."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fakes.agent import Process
from tests.fakes.mosquitto import Broker, Listener, until
from tests.faults.conftest import FULL, Row

KILLS = 20 if FULL else 2

CONFIG = """
device = "pi"
state_dir = "{folder}/state"
[cameras.yard]
kind = "synthetic"
objects = 1
[mqtt]
port = {port}
retry_s = [0.1, 0.5]
[mqtt.topics.command]
enabled = true
"""


def ask(listener: Listener) -> int:
    """One command, so that there is one event, told apart from those that are delivered again: its number."""
    known = {json.loads(payload)["id"] for payload in listener.of("lookout/pi/events")}
    listener.client.publish("lookout/pi/command/snapshot", '{"camera": "yard"}', qos=1)

    def fresh() -> list[dict[str, Any]]:
        events = [json.loads(payload) for payload in listener.of("lookout/pi/events")]
        return [event for event in events if event["id"] not in known]

    until(fresh, "the audit event")
    return int(fresh()[0]["seq"])


def test_a_killed_agent_comes_back_with_its_numbers_and_a_stopped_one_says_goodbye(
    tmp_path: Path, row: Callable[..., Row]
) -> None:
    told = row("agent killed", f"kill -9, {KILLS} times (of its publisher more: 24)", "offline told; numbers go on")
    broker = Broker(tmp_path, durable=True).start()
    listener = Listener(broker.port, "lookout/pi/#")
    (tmp_path / "agent.toml").write_text(CONFIG.format(folder=tmp_path, port=broker.port))
    agent = Process(tmp_path / "agent.log", "-m", "agent", "run", str(tmp_path / "agent.toml"))

    last = 0
    for kill in range(KILLS + 1):
        with told.recovery():
            agent.start()
            births = kill + 1
            until(lambda n=births: listener.of("lookout/pi/status").count(b"online") == n, f"birth: {agent.log()}", 60)
            until(lambda: listener.of("lookout/pi/yard/status")[-1:] == [b"online"], "the camera")
        seq = ask(listener)
        assert seq > last, "numbers go on after a kill"
        last = seq
        if kill < KILLS:
            agent.stop(signal.SIGKILL)
            until(lambda: listener.of("lookout/pi/status")[-1] == b"offline", "the will")
    agent.stop(signal.SIGTERM)
    until(lambda: listener.of("lookout/pi/status")[-1] == b"offline", "goodbye")
    late = Listener(broker.port, "lookout/pi/status")
    until(lambda: late.of("lookout/pi/status") == [b"offline"], "what is retained")
    late.close()
    told.seen = f"{KILLS} of {KILLS} starts; no number twice"
    listener.close()
    broker.kill()
