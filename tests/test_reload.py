"""The agent as a process: what is set is obeyed and kept, a changed config or model is taken over or refused."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable

from agent import config
from tests.fakes.agent import YARD, Running, start

__all__ = ["start"]  # a fixture

GATE = '[cameras.gate]\nkind = "synthetic"\nobjects = 2\n'
DOOR = "[cameras.yard.zones.door]\npolygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]\n"


def test_detection_is_switched_off_and_stays_off_through_a_kill(start: Callable[[str], Running]) -> None:
    agent = start(YARD)
    whole, half = [[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 0], [1, 0], [1, 1]]
    masks = {"motion_masks": [half], "privacy_masks": [whole]}
    assert agent.ask("set", camera="yard", detection=False, confidence=0.9, **masks)["ok"]
    agent.process.stop(signal.SIGKILL)
    agent.process.start()
    agent.wait(lambda: agent.of("status").count(b"online") == 2, "the second birth")
    agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera, though nobody looks")
    agent.wait(lambda: agent.of("health"), "health")
    agent.wait(lambda: json.loads(agent.of("health")[-1])["fps"] == 0, "no frame is looked at")
    kept = agent.retained()
    assert kept["lookout/pi/yard/detection/state"] == b"OFF"
    assert kept["lookout/pi/yard/confidence/state"] == b"0.9"
    assert json.loads(kept["lookout/pi/yard/motion_masks/state"]) == [[[0, 0], [1, 0], [1, 1]]]
    assert agent.ask("set", camera="yard", detection=True, motion_masks=None)["ok"]
    agent.wait(lambda: agent.of("yard/motion_masks/state")[-1] == b"default", "the config's masks")
    agent.wait(lambda: agent.of("yard/detection/state")[-1] == b"ON", "the state")
    agent.wait(lambda: agent.ask("snapshot", camera="yard")["ok"], "a picture")
    assert agent.picture().max() == 0  # still hidden
    assert agent.ask("set", camera="yard", privacy_masks=None)["ok"]
    agent.wait(lambda: agent.ask("snapshot", camera="yard")["ok"] and agent.picture().max() > 60, "one to be seen")


def test_home_assistants_switches_and_numbers_do_what_they_show(start: Callable[[str], Running]) -> None:
    agent = start(YARD)
    offered = json.loads(agent.retained()["homeassistant/device/lookout_pi/config"])["components"]

    def press(name: str, payload: str) -> None:
        agent.heard.client.publish(offered[name]["command_topic"], payload, qos=1)

    def shown(name: str) -> bytes:
        return agent.heard.of(offered[name]["state_topic"])[-1]

    for key, state in (("payload_off", b"OFF"), ("payload_on", b"ON")):
        press("yard_detection", offered["yard_detection"][key])
        agent.wait(lambda state=state: shown("yard_detection") == state, f"the switch at {state!r}")
    for name, value in (("yard_confidence", "0.35"), ("yard_fps", "2.5")):
        press(name, offered[name]["command_template"].replace("{{ value }}", value))
        agent.wait(lambda name=name, value=value: shown(name) == value.encode(), name)
    agent.wait(lambda: agent.of("health"), "health")
    agent.wait(lambda: 0 < json.loads(agent.of("health")[-1])["fps"] < 4, "fewer frames are looked at")


def test_a_changed_config_is_taken_over_and_what_went_is_cleaned_up(start: Callable[[str], Running]) -> None:
    agent = start(YARD + DOOR + GATE)
    agent.wait(lambda: agent.of("gate/status")[-1:] == [b"online"], "the other camera")
    assert "lookout/pi/yard/counts/door/all" in agent.retained()
    agent.write(YARD)
    agent.process.signal(signal.SIGHUP)
    agent.wait(lambda: agent.events("config_changed"), "the change told")
    agent.wait(lambda: agent.of("status")[-2:] == [b"offline", b"online"], "the new publisher")

    def mourned() -> bool:  # the first offer goes out with the birth, this one once the last offer has been heard
        return "gate_online" in json.loads(agent.retained()["homeassistant/device/lookout_pi/config"])["components"]

    agent.wait(mourned, "an offer that tells of what is gone")
    kept = agent.retained()
    assert not [topic for topic in kept if "/gate/" in topic or "/door/" in topic]
    assert kept["lookout/pi/yard/status"] == b"online"
    offered = json.loads(kept["homeassistant/device/lookout_pi/config"])["components"]
    assert offered["gate_online"] == {"platform": "binary_sensor"}  # as Home Assistant wants to hear that it is gone
    assert len(offered["yard_online"]) > 1
    assert agent.process.log().count("camera yard: online") == 1, "its thread was left alone"


def test_a_config_that_is_not_good_changes_nothing_and_says_where(start: Callable[[str], Running]) -> None:
    agent = start(YARD)
    agent.write(YARD + "fps = -1\n")
    line = (agent.folder / "agent.toml").read_text().splitlines().index("fps = -1") + 1
    answer = agent.ask("reload")
    assert not answer["ok"]
    assert f"agent.toml:{line}: cameras.yard.fps must be a number > 0, not -1" in answer["reason"]
    agent.wait(lambda: agent.events("config_rejected"), "the event")
    assert agent.events("config_rejected")[0]["detail"]["reason"] == answer["reason"]
    agent.wait(lambda: any(json.loads(h)["config"] == answer["reason"] for h in agent.of("health")), "health")
    agent.write(YARD + "fps = 2\n")
    answer = agent.ask("reload")
    assert (answer["ok"], answer["reason"]) == (True, "")
    agent.wait(lambda: json.loads(agent.of("health")[-1])["config"] == "ok", "health again")
    assert agent.of("status") == [b"online"], "the connection was left alone"
    assert agent.process.log().count("camera yard: online") == 1


def test_a_model_is_taken_by_name_and_checksum_from_one_folder_only(start: Callable[[str], Running]) -> None:
    agent = start(YARD)
    incoming = agent.folder / "incoming"
    incoming.mkdir()
    shipped = config.shipped(config.DEFAULT_MODEL)
    good = hashlib.sha256(shipped.read_bytes()).hexdigest()
    (agent.folder / "outside.tflite").write_bytes(shipped.read_bytes())
    (incoming / "link.tflite").symlink_to(agent.folder / "outside.tflite")
    (incoming / "broken.tflite").write_bytes(b"no model")
    for file, digest, reason in (
        ("../outside.tflite", good, "Expected `str` matching regex"),
        ("link.tflite", good, "a link that leads out of the folder"),
        ("none.tflite", good, "No such file"),
        ("broken.tflite", good, "sha256 is"),
        ("broken.tflite", hashlib.sha256(b"no model").hexdigest(), "broken.tflite"),
    ):
        answer = agent.ask("update_model", file=file, sha256=digest)
        assert not answer["ok"]
        assert reason in answer["reason"], file
    (incoming / "mine.tflite").write_bytes(shipped.read_bytes())
    answer = agent.ask("update_model", file="mine.tflite", sha256=good)
    assert answer["ok"], answer["reason"]
    state = json.loads((agent.folder / "state" / "models" / "state.json").read_text())
    assert (state["chosen"], state["starts"]) == (good[:16], 1), "on trial"
    assert agent.process.log().count("camera yard: online") == 1, "the camera went on"
