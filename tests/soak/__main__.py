"""python -m tests.soak [--minutes 60] [--seed 10] [--rate 120] [--out build/soak]: a day in an hour.

At 120 frames a second an hour has as many as a day at five. All the while trouble comes at random, one or two kinds at
a time (tests/soak/happenings.py), and after each the agent must come right by itself: cameras online, broker there,
nothing waiting. At the end every event is accounted for by the documentation's consumer; memory, threads, open files
and the outbox have not grown. One line an assertion is printed, the curves are drawn, and the exit code is 1 where one
fails. The line of fault 40 in docs/faults.md is that of the last run that was long enough to tell.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from agent.device.duty import LOOK_S
from tests.fakes.mosquitto import RUNNING, Listener, until
from tests.faults.conftest import Row, load_consumer, write_rows
from tests.soak import measured, plot
from tests.soak.happenings import Day

EVERY_S = 5.0  # a look at the process
PATIENCE_S = 90.0  # for everything to come right; a camera that failed again and again is tried every 10 s
MAX_MB = 8.0  # of the outbox


class Soak:
    """One run."""

    def __init__(self, folder: Path, seed: int, rate: float, invokes: float) -> None:
        self._dice = random.Random(seed)
        self.day = Day(folder, self._dice, rate, invokes, MAX_MB)
        self.state = folder / "state"
        self.taken = measured.Taken(load_consumer().Consumer())
        self.samples: list[measured.Sample] = []
        self.frames = 0.0
        self.befell: dict[str, int] = {}
        self._health: dict[str, Any] = {}
        self._begin, self._looked, self._heard_at = time.monotonic(), 0, 0.0
        topics = ("events", "+/events", "+/anomalies", "health")
        port = self.day.broker.port
        self._heard = Listener(port, *(f"lookout/pi/{topic}" for topic in topics), client_id="soak")

    def run(self, seconds: float) -> None:
        """Trouble after trouble, then the end."""
        self._come_right()
        self.samples.clear()  # of the time in which it started
        while self._elapsed() < seconds:
            self._befall(self._dice.sample(list(self.day.kinds), self._dice.choice([1, 1, 2])))
            self._come_right()
            self._look(at_rest=True)
            self._pass(self._dice.uniform(1.0, 6.0))
        assert self.day.agent.stop(signal.SIGTERM) == 0
        time.sleep(1.0)
        self._read()
        self._heard.close()
        self.day.broker.stop()

    def _befall(self, kinds: list[str]) -> None:
        with contextlib.ExitStack() as stack:
            for kind in kinds:
                stack.enter_context(self.day.kinds[kind]())
                self.befell[kind] = self.befell.get(kind, 0) + 1
            self._pass(self._dice.uniform(0.5, 5.0))

    def _elapsed(self) -> float:
        return time.monotonic() - self._begin

    def _look(self, at_rest: bool) -> None:
        self.samples.append(measured.sample(self.day.agent, self._elapsed(), self.state, at_rest))

    def _pass(self, seconds: float) -> None:
        """Let time go by, and look now and then."""
        end = self._elapsed() + seconds
        while (now := self._elapsed()) < end:
            self._read()
            if not self.samples or now - self.samples[-1].t >= EVERY_S:
                self._look(at_rest=False)
            time.sleep(0.1)

    def _come_right(self) -> None:
        """Wait until a health that was told after now says that all is well."""
        since = self._elapsed()
        self._heard_at = since

        def well() -> bool:
            assert self.day.agent.alive(), self.day.agent.log()[-3000:]
            self._pass(0.2)
            told = self._health
            return (
                self._heard_at > since + 1.0
                and (told["outbox"], told["config"], told["events_waiting"]) == ("ok", "ok", 0)
                and told["cameras"] == {"yard": "online", "gate": "online"}
            )

        until(well, "the agent to come right", PATIENCE_S)
        self._pass(1.5)  # connections that were given up are closed by now

    def _read(self) -> None:
        """What has come since, and commands that wait to be sent."""
        messages = self._heard.messages
        while self._looked < len(messages):
            topic, payload, _ = messages[self._looked]
            messages[self._looked] = ("", b"", False)  # an hour of them need not be kept
            self._looked += 1
            if topic.endswith("/health"):
                before, self._heard_at = self._heard_at, self._elapsed()
                self._health = json.loads(payload)
                self.frames += self._health["fps"] * min(self._heard_at - before, LOOK_S)
            else:
                self.taken.take(payload)
        while self.day.orders:
            verb, arguments = self.day.orders.pop()
            self._heard.client.publish(f"lookout/pi/command/{verb}", arguments, qos=1)


def told(soak: Soak, verdicts: list[measured.Verdict]) -> list[str]:
    """The table, and how the time was spent."""
    last = soak.samples[-1]
    befell = ", ".join(f"{kind} {n}" for kind, n in sorted(soak.befell.items()))
    kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(soak.taken.kinds.items()))
    return [
        f"{last.t / 60:.0f} minutes, about {soak.frames:.0f} frames looked at, {last.cpu_s / last.t:.2f} of a core",
        f"befell it: {befell}",
        f"events: {kinds}",
        "| what | must be | was | holds |",
        "|---|---|---|---|",
        *map(str, verdicts),
    ]


def main(arguments: list[str]) -> int:
    """Exit code 1 where an assertion fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--rate", type=float, default=120.0, help="frames a second of the first camera")
    parser.add_argument("--invokes", type=float, default=10.0, help="inferences a second, at most")
    parser.add_argument("--out", type=Path, default=Path("build/soak"), help="what the agent keeps, its log, the plot")
    args = parser.parse_args(arguments)
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    soak = Soak(args.out.resolve(), args.seed, args.rate, args.invokes)
    try:
        soak.run(args.minutes * 60)
    finally:
        for process in list(RUNNING):
            process.kill()
        measured.keep(soak.samples, args.out / "soak.csv")
        plot.draw(soak.samples, args.out / "soak.png")
    log = soak.day.agent.log()
    verdicts = measured.verdicts(soak.samples, soak.taken, soak.state, MAX_MB, log)
    sys.stdout.write("\n".join([*told(soak, verdicts), f"curves: {args.out / 'soak.png'}", ""]))
    if measured.is_long(soak.samples):
        row = Row(
            40, "slow leak", f"`make soak`, {args.minutes:g} minutes at {args.rate:g} fps", "no growth; no event lost"
        )
        row.seen = "; ".join(f"{one.what}: {one.seen}" for one in verdicts)
        write_rows({40: str(row)})
    return int(not all(one.holds for one in verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
