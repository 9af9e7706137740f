"""Two agents of one name throw each other out: told as such, and they leave each other long pauses."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.fakes.agent import YARD, Process, Running
from tests.fakes.mosquitto import until
from tests.faults.conftest import Row, full

WATCHED_S = 20.0


@full
def test_it_is_told_and_no_fight(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row(
        "two agents of one name", "a second one with its device", "told as such; long pauses; peace once one goes"
    )
    agent = start(YARD)
    config = (agent.folder / "agent.toml").read_text()
    (agent.folder / "twin.toml").write_text(config.replace(f"{agent.folder}/state", f"{agent.folder}/twin"))
    twin = Process(agent.folder / "twin.log", "-m", "agent", "run", str(agent.folder / "twin.toml")).start()
    words = "give each agent a `device` of its own"
    until(lambda: words in agent.process.log() + twin.log(), "the reason", 60)
    before = agent.of("status").count(b"online")
    time.sleep(WATCHED_S)
    births = agent.of("status").count(b"online") - before
    with told.recovery():
        twin.stop()
        time.sleep(0.5)  # a will is spoken, where it was the twin that was connected
        agent.wait(lambda: agent.of("status")[-1] == b"online", "its own birth")
    assert agent.ask("snapshot", camera="yard")["ok"]
    assert births <= 6
    told.seen = f"told; {births} births in {WATCHED_S:g} s"
