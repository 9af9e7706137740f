"""What befalls the agent in a day: each begins as it is entered, and is over as it is left."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fakes.agent import HEAD, Process
from tests.fakes.mosquitto import Broker
from tests.faults.conftest import Harm, put_word

WORDS = ("gone", "broken", "hang", "frozen", "small", "backwards", "same_time")  # of the camera of the tests' own
YEAR = 365 * 86400
Trouble = Callable[[], contextlib.AbstractContextManager[None]]
CONFIG = """
[mqtt.outbox]
max_mb = {max_mb}
[model]
confidence = 0.1  # textured blocks are people then: tracks, zones and lines have something to tell
[tracker]
low = 0.02
high = 0.1
confirm = 0.05
tentative_s = 1.0
[detect]
invokes_per_second = {invokes}
[cameras.yard]
kind = "faulty"
stale_s = 1.5
rate = {rate}
size = [320, 240]
fps = {fps}
[cameras.yard.zones.door]
polygon = [[0.0, 0.0], [{edge}, 0.0], [{edge}, 1.0], [0.0, 1.0]]
[cameras.yard.lines.middle]
points = [[0.5, 0.0], [0.5, 1.0]]
[cameras.yard.anomalies.loitering]
dwell_s = 2.0
[cameras.yard.anomalies.tamper]
[cameras.gate]
kind = "synthetic"
size = [320, 240]
"""


class Day:
    """The agent, its broker, its camera and its clock, and the dice."""

    def __init__(self, folder: Path, dice: random.Random, rate: float, invokes: float, max_mb: float) -> None:
        """`rate`: frames a second of the camera that misbehaves; `invokes`: inferences a second at most."""
        self.broker = Broker(folder, durable=True).start()
        self._folder, self._dice, self._harm = folder, dice, Harm(folder)
        self._fixed = {"rate": rate, "invokes": invokes, "max_mb": max_mb}
        self._write(fps=rate, edge=0.5)
        environ = {**self._harm.environ, "HOOKS": str(folder)}
        program = ("-m", "tests.faults.hooked", "run", str(folder / "agent.toml"))
        self.agent = Process(folder / "agent.log", *program, environ=environ).start()
        self.orders: list[tuple[str, str]] = []  # verb, JSON: commands for somebody to send
        self.kinds: dict[str, Trouble] = {
            "camera": self.camera,
            "broker": self.troubled_broker,
            "reload": self.reload,
            "clock steps": self.clock_steps,
            "commands": self.commands,
        }

    def _write(self, fps: float, edge: float) -> None:
        text = (HEAD + CONFIG).format(folder=self._folder, port=self.broker.port, fps=fps, edge=edge, **self._fixed)
        (self._folder / "agent.toml").write_text(text)

    @contextlib.contextmanager
    def camera(self) -> Iterator[None]:
        """It goes, hangs, stands still, or changes its size; a hang ends before the agent gives it up for good."""
        word = self._dice.choice(WORDS)
        put_word(self._folder, "camera", word)
        if word == "hang":
            time.sleep(2.0)
            put_word(self._folder, "camera", "ok")
        yield
        put_word(self._folder, "camera", "ok")

    @contextlib.contextmanager
    def troubled_broker(self) -> Iterator[None]:
        """It restarts as for an update, saving what it has, or freezes (SIGSTOP)."""
        begin, end = self._dice.choice([(self.broker.stop, self.broker.start), (self.broker.freeze, self.broker.thaw)])
        begin()
        yield
        end()

    @contextlib.contextmanager
    def reload(self) -> Iterator[None]:
        """Another frame rate or another zone, or a config that is refused."""
        rate = self._fixed["rate"]
        self._write(self._dice.choice([rate, rate / 2, -1.0]), self._dice.choice([0.4, 0.5, 0.6]))
        self.agent.signal(signal.SIGHUP)
        yield
        self._write(rate, 0.5)
        self.agent.signal(signal.SIGHUP)

    @contextlib.contextmanager
    def clock_steps(self) -> Iterator[None]:
        """The wall clock jumps, and is set right again."""
        self._harm(clock_s=self._dice.choice([3600, -3600, YEAR, -86400]))
        yield
        self._harm()

    @contextlib.contextmanager
    def commands(self) -> Iterator[None]:
        """Good ones, and one that is not."""
        self._order("snapshot", camera="yard")
        self._order("set", camera="yard", confidence=self._dice.choice([0.1, 0.2]), detection=True)
        self._order("set", camera="gate", fps=self._dice.choice([1.0, 5.0]))
        yield
        self._order("reset_counts", camera="yard")
        self._order("set", camera="nowhere", fps=-1.0)

    def _order(self, verb: str, **arguments: object) -> None:
        self.orders.append((verb, json.dumps(arguments)))
