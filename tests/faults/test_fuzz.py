"""Strangers' input: config text, commands, retained messages. Nothing hangs, ends or traces back."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path

from agent import config
from agent.data import LookoutError
from tests.conftest import ROOT
from tests.fakes.agent import YARD, Running
from tests.faults.conftest import FULL, full

TEXTS = 20_000 if FULL else 400
COMMANDS = 400
SEED = 10
WORDS = (
    *("nan", "inf", "-0", "1e999", "9" * 5000, "0x" + "f" * 99, "1979-05-27T07:32:00Z", "true", '""', "'''", '"""'),
    *("[" * 3000, "{a = " * 500, "[[", "]]", "[cameras]", "[cameras.yard.zones]", "\0", "\ud7ff", "\\u0000", "=", "."),
    *("kind = 1", 'kind = "../file"', 'kind = "__init__"', "polygon = []", "polygon = [[nan, 0.0]]", "cameras = 3"),
)


def shipped() -> str:
    """The commented default with every key that it explains switched on."""
    text = (ROOT / "systemd" / "agent.toml").read_text()
    return re.sub(r"(?m)^#(\[.*|\S+ = (?!.*# unset).*)$", r"\1", text)


def mutated(text: str, dice: random.Random) -> str:
    lines = text.splitlines()
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(lines))
        line = lines[at]
        match dice.randrange(5):
            case 0:
                lines.insert(dice.randrange(len(lines)), line)
            case 1:
                del lines[at]
            case 2:
                lines[at] = line.partition("=")[0] + "= " + dice.choice(WORDS)
            case 3:
                lines[at] = dice.choice(WORDS)
            case 4:
                cut = dice.randrange(len(line) + 1)
                lines[at] = line[:cut] + chr(dice.randrange(1, 0x300)) + line[cut + 1 :]
    return "\n".join(lines)


def test_any_config_is_taken_or_refused_in_one_line() -> None:
    good, dice, refused = shipped(), random.Random(SEED), 0
    for _ in range(TEXTS):
        text, reason = mutated(good, dice), ""
        try:
            config.parse(text, Path("agent.toml"))
        except LookoutError as error:
            reason = str(error)
        refused += reason != ""
        assert "\n" not in reason, text
    assert TEXTS // 2 < refused < TEXTS, "some of both"


def strange(dice: random.Random) -> bytes:
    """A payload that no well-meaning sender sends."""
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: dice.randbytes(dice.randrange(400)),
        lambda: b'{"camera": "yard", "confidence": NaN}',
        lambda: b'{"camera": "yard", "fps": 1e999}',
        lambda: b'{"camera": "yard", "detection": false, "detection": 7}',
        lambda: b"[" * 15_000,
        lambda: b'{"camera": ' * 1_400,
        lambda: b'{"camera": "' + dice.randbytes(30).hex().encode() + b'"}',
        lambda: b'{"camera": "yard", "motion_masks": [[[0, 0], [1e308, -1e308], [1, 1]]]}',
        lambda: b'{"camera": "\\ud800"}',
        lambda: bytes(1_000_000),
    )
    return dice.choice(kinds)()


@full
def test_any_command_is_answered_or_ignored(start: Callable[..., Running]) -> None:
    agent, dice = start(YARD), random.Random(SEED)
    verbs = ("set", "snapshot", "reset_counts", "reload", "update_model", "x" * 900, "é", "$share", " ")
    for n in range(COMMANDS):
        agent.heard.client.publish(f"lookout/pi/command/{dice.choice(verbs)}", strange(dice), qos=1)
        if n % 10 == 9:
            time.sleep(0.3)
    for topic in ("status", "yard/status", "yard/counts/door/all", "gone/status", "events", "health", "model/state"):
        agent.heard.client.publish(f"lookout/pi/{topic}", strange(dice), qos=1, retain=True)
        agent.heard.client.publish(f"homeassistant/device/lookout_pi/{topic}", strange(dice), qos=1, retain=True)
    time.sleep(1.5)
    agent.frames()
    assert "Traceback" not in agent.process.log()
    agent.process.stop()
    agent.process.start()  # finds what is retained
    agent.wait(lambda: agent.retained().get("lookout/pi/status") == b"online", "the truth about its status again")
    agent.wait(lambda: agent.retained().get("lookout/pi/yard/status") == b"online", "and about the camera's")
    assert "Traceback" not in agent.process.log()


@full
def test_what_strangers_retain_on_our_topics_gives_way_to_the_truth(start: Callable[..., Running]) -> None:
    agent, dice = start(YARD), random.Random(SEED)
    agent.health()
    truth = agent.retained()
    assert len(truth) > 5
    agent.process.stop()
    for topic in truth:
        agent.heard.client.publish(topic, strange(dice) or b"0", qos=1, retain=True)
    agent.process.start()
    agent.wait(lambda: same(agent.retained(), truth), "the truth on every topic again")
    agent.frames()
    assert "Traceback" not in agent.process.log()


def same(told: dict[str, bytes], truth: dict[str, bytes]) -> bool:
    """Whether each topic holds again what the agent says there: a word, or JSON of the same form."""
    return all(form(told.get(topic, b"")) == form(payload) for topic, payload in truth.items())


def form(payload: bytes) -> object:
    try:
        told = json.loads(payload)
    except ValueError:
        return payload
    return sorted(told) if isinstance(told, dict) else type(told)
