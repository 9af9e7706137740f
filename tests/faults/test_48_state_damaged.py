"""State files of garbage, or with flipped bits: the agent starts with what can be read, and says so."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.anomalies.normality import memory
from tests.fakes.agent import YARD, Running
from tests.faults.conftest import FULL, Row

UNUSUAL = (
    "[cameras.yard.zones.door]\npolygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]\n[cameras.yard.anomalies.unusual]\n"
)
ROUNDS = 12 if FULL else 1
KEEPS = ("counts.journal", "switches.json", "models/state.json", "outbox.db")


def harmed(path: Path, dice: random.Random) -> None:
    data = bytearray(path.read_bytes() or b"{}")
    match dice.randrange(3):
        case 0:
            data = bytearray(dice.randbytes(300))
        case 1:
            data = data[: dice.randrange(len(data))]
        case 2:
            for _ in range(3):
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)


def test_it_starts_with_what_can_be_read(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("bad persisted state", f"each state file harmed, {ROUNDS} times", "starts, without what is lost")
    agent, dice = start(YARD + UNUSUAL), random.Random(48)
    assert agent.ask("set", camera="yard", confidence=0.5)["ok"]
    for _ in range(ROUNDS):
        assert agent.process.stop(signal.SIGTERM) == 0
        folder = agent.folder / "state"
        (folder / "models").mkdir(exist_ok=True)
        for name in KEEPS:
            (folder / name).touch()
        for path in [path for path in folder.rglob("*") if path.is_file() and "corrupt" not in path.name]:
            harmed(path, dice)
        births = agent.of("status").count(b"online")
        with told.recovery():
            agent.process.start()
            agent.wait(lambda n=births: agent.of("status").count(b"online") > n, "the birth")
            agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera")
    assert agent.ask("set", camera="yard", confidence=0.6)["ok"]
    assert "Traceback" not in agent.process.log()
    told.seen = f"{ROUNDS} of {ROUNDS} starts"


def test_what_was_learned_is_read_or_set_aside_whatever_bits_were_flipped(tmp_path: Path) -> None:
    file, dice = tmp_path / "learned.npz", random.Random(48)
    memory.save(file, {"a": np.arange(500.0), "b": np.zeros((3, 4))})
    good, aside = file.read_bytes(), 0
    for _ in range(300):
        data = bytearray(good)
        for at in dice.sample(range(len(data)), 3):
            data[at] ^= 1 << dice.randrange(8)
        file.write_bytes(data)
        aside += memory.load(file, {"a": (-1,), "b": (3, 4)}) is None
    assert aside > 30
