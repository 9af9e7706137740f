"""Discovery: the offer itself (golden), that it comes again, and that nothing gone stays behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.device.manifest import Standing
from agent.publish import Message, Received, Scope, State, wire
from agent.publish.payloads import Model
from agent.publish.topics import homeassistant
from tests.fakes.clock import FixedClock
from tests.fakes.scenes import LABELS

GOLDEN = Path(__file__).parent / "homeassistant.golden.json"
CONFIG = "homeassistant/device/lookout_pi/config"


def scope(zones: tuple[str, ...] = ("door",), obeys: tuple[str, ...] = ("set",)) -> Scope:
    sender = wire.Sender("pi", LABELS, Model("ssd", "ab"), FixedClock())
    return Scope("lookout/pi", sender, ("yard",), {"yard": zones}, obeys=obeys)


def components(messages: Any) -> dict[str, Any]:
    (message,) = messages
    assert isinstance(message, State)
    assert message.topic == CONFIG
    found: dict[str, Any] = json.loads(message.payload)["components"]
    return found


def test_the_offer_is_the_golden_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homeassistant, "__version__", "0.0.0")
    made = json.dumps(homeassistant.offer(scope(), ["person", "traffic light"]), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("LOOKOUT_GOLDEN") == "write":
        GOLDEN.write_text(made)
    assert made == GOLDEN.read_text()


def test_ids_are_what_home_assistant_takes() -> None:
    offer = homeassistant.offer(scope(), ["traffic light"])
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in offer["components"])
    unique = [one["unique_id"] for one in offer["components"].values()]
    assert len(set(unique)) == len(unique)
    assert re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", CONFIG)


def test_without_commands_there_is_nothing_to_press() -> None:
    offer = homeassistant.offer(scope(obeys=()), [])
    assert {one["platform"] for one in offer["components"].values()} == {"sensor", "binary_sensor"}
    assert not any("command_topic" in one for one in offer["components"].values())


def test_what_is_commanded_is_what_the_agent_understands() -> None:
    from agent.publish import commands

    offer = homeassistant.offer(scope(), [])["components"]
    for name in ("yard_detection", "yard_confidence", "yard_fps"):
        one = offer[name]
        texts = [one[key] for key in ("payload_on", "payload_off") if key in one]
        texts += [one["command_template"].replace("{{ value }}", "0.5")] if "command_template" in one else []
        for text in texts:
            assert commands.parse("set", text.encode()).camera == "yard"
    assert commands.parse("snapshot", offer["yard_take_snapshot"]["payload_press"].encode()).camera == "yard"


def test_the_update_is_shown_where_it_can_be_asked_for_and_pressing_it_is_understood() -> None:
    from agent.publish import commands

    def found(obeys: tuple[str, ...], is_offered: bool) -> Any:
        offers = (lambda: Standing(6, 7)) if is_offered else None
        return homeassistant.offer(replace(scope(obeys=obeys), offers=offers), [])["components"].get("model")

    update = found(("update_model",), True)
    assert (update["platform"], update["state_topic"]) == ("update", "lookout/pi/model/state")
    assert update["command_topic"] == "lookout/pi/command/update_model"
    assert commands.parse("update_model", update["payload_install"].encode()).newest
    keys = "'installed_version': value_json.installed_version, 'latest_version': value_json.latest_version"
    assert update["value_template"] == f"{{{{ {{{keys}}} | to_json }}}}"  # of other keys Home Assistant complains
    assert found(("update_model",), False) is None
    assert found(("set",), True) is None


def test_it_is_offered_again_when_home_assistant_has_started() -> None:
    topic = homeassistant.create(homeassistant.Options(), scope())
    assert components(topic.connected())
    assert components(topic.received(Received("homeassistant/status", b"online")))
    assert not list(topic.received(Received("homeassistant/status", b"offline")))
    assert not list(topic.received(Received("homeassistant/status", b"online", retained=True)))


def test_a_zone_that_has_gone_is_removed_from_home_assistant() -> None:
    before = homeassistant.create(homeassistant.Options(), scope(("door", "lawn")))
    (message,) = list(before.connected())
    assert isinstance(message, State)
    now = homeassistant.create(homeassistant.Options(), scope(("door",)))
    old = Received(CONFIG, message.payload, retained=True)
    told = components(now.received(old))
    assert told["yard_lawn_all"] == {"platform": "sensor"}
    assert told["yard_lawn_occupied"] == {"platform": "binary_sensor"}
    assert "name" in told["yard_door_all"]
    later = homeassistant.create(homeassistant.Options(), scope(("door",)))
    again: Message = next(iter(now.connected()))
    assert isinstance(again, State)
    assert not list(later.received(Received(CONFIG, again.payload, retained=True)))  # removed is removed


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"{}", b"[]", b"null", b'{"components": 3}', b'{"components": {"a": {}}}', b"\xff", b"[" * 100_000),
        *(b'{"components":' * 5_000, b'{"components": {"\\ud800": {"platform": 1, "a": 2}}}'),
    ],
)
def test_a_retained_offer_that_is_none_is_survived(payload: bytes) -> None:
    topic = homeassistant.create(homeassistant.Options(), scope())
    assert not list(topic.received(Received(CONFIG, payload, retained=True)))


def test_home_assistants_own_schemas_accept_every_component(tmp_path: Path) -> None:
    """LOOKOUT_HA_PYTHON: a Python that has the packages homeassistant and paho-mqtt."""
    python = os.environ.get("LOOKOUT_HA_PYTHON")
    if not python:
        pytest.skip("LOOKOUT_HA_PYTHON names no Python with the homeassistant package")
    offer = tmp_path / "offer.json"
    offer.write_text(json.dumps(homeassistant.offer(scope(), ["person", "traffic light"])))
    checker = Path(__file__).parent / "homeassistant_check.py"
    done = subprocess.run([python, str(checker), str(offer)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid" in done.stdout
