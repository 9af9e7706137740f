"""The agent as a process, a real https server, a real broker: a new model is seen, taken, kept or gone back from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from agent import config, modelfile
from agent.device import manifest
from agent.device.duty import LOOK_S
from tests.device.test_offers import Maker
from tests.fakes import bare
from tests.fakes.agent import YARD, Running, start
from tests.fakes.https import Server

pytest.importorskip("nacl", reason="PyNaCl is not installed")
__all__ = ["start"]  # a fixture
SHIPPED = config.shipped(config.DEFAULT_MODEL)
UPDATES = """
[updates]
manifest = "{0.manifest}"
public_key = "{0.public_key}"
ca_file = "{0.ca_file}"
check_h = 0.0005
"""
CHANGED = "import sys; from agent.device import trial, updates; {}; from agent.__main__ import main; sys.exit(main())"


@pytest.fixture
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    server = Server(tmp_path_factory.mktemp("tls"), tmp_path_factory.mktemp("served"))
    yield Maker(server)
    server.close()


def another(text: str) -> bytes:
    """The shipped model with another word in its card: it does the same and has other bytes."""
    card = modelfile.read(SHIPPED).card
    assert card
    return modelfile.pack(bare.flatbuffer(SHIPPED), msgspec.structs.replace(card, licence=text))[0]


def told(agent: Running) -> tuple[str, str, str]:
    """What model/state says: installed, latest, trouble."""
    states = agent.of("model/state")
    state: dict[str, Any] = json.loads(states[-1]) if states else {}
    return state.get("installed_version", ""), state.get("latest_version", ""), state.get("trouble", "")


def fps(health: bytes) -> float:
    return float(json.loads(health)["fps"])


def chosen(agent: Running) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((agent.folder / "state" / "models" / "state.json").read_text())
    return state


def refuses(agent: Running, state: object, reason: str) -> None:
    """Asked for the newest, the agent says why not in one line, in an event too, and stays with what it has chosen."""
    answer = agent.ask("update_model", newest=True)
    assert not answer["ok"]
    assert reason in answer["reason"]
    assert "\n" not in answer["reason"]
    assert chosen(agent) == state
    agent.wait(lambda: agent.events("command")[-1]["detail"]["reason"] == answer["reason"], "the event")


def test_a_new_model_is_offered_and_installed_from_home_assistant_and_nothing_unsigned_after_it(
    start: Callable[..., Running], maker: Maker
) -> None:
    maker.publishes(7, another("seven"))
    agent = start(YARD + UPDATES.format(maker.options))
    agent.wait(lambda: told(agent) == ("0", "7", ""), "the offer")
    assert agent.events("model_offered")[0]["detail"]["version"] == 7
    kept = agent.retained()
    assert json.loads(kept["lookout/pi/model/state"])["model"]["name"] == SHIPPED.stem
    update = json.loads(kept["homeassistant/device/lookout_pi/config"])["components"]["model"]
    assert (update["platform"], update["state_topic"]) == ("update", "lookout/pi/model/state")

    agent.heard.client.publish(update["command_topic"], update["payload_install"], qos=1)
    agent.wait(lambda: agent.of("command/update_model/result"), "the answer")
    answer = json.loads(agent.of("command/update_model/result")[-1])
    assert answer["ok"], answer["reason"]
    agent.wait(lambda: told(agent) == ("7", "7", ""), "version 7 installed")
    agent.wait(lambda: json.loads(agent.of("model/state")[-1])["model"]["name"] == "mine", "the new model's name")
    state = chosen(agent)
    assert (state["accepted"], state["versions"], state["starts"]) == (7, {state["chosen"]: 7}, 1), "on trial"

    refuses(agent, state, "version 7 is the newest there is")
    maker.publishes(8, b"signed, but no model")
    refuses(agent, state, "not a TFLite file")
    maker.publishes(8, another("cut")[:3_000_000])  # with a head like a model's
    refuses(agent, state, "self-test ")
    maker.publishes(6, another("six"))
    refuses(agent, state, "version 6 is older than 7, which was taken; refused")
    maker.publishes(9, another("nine"), private=manifest.new_key()[0])
    refuses(agent, state, "its signature is not good")
    agent.wait(lambda: "its signature is not good" in told(agent)[2], "the trouble shown")
    maker.server.close()
    refuses(agent, state, "cannot be fetched (")
    assert agent.process.log().count("camera yard: online") == 1, "never started again"
    assert agent.of("status").count(b"online") == 2, "one new publisher, for the new model"
    agent.process.stop()
    agent.process.start()
    agent.wait(lambda: told(agent)[0] == "7" and len(agent.of("status")) > 3, "the new model after a kill")


def test_a_trial_that_ends_badly_brings_the_old_model_back_without_a_restart(
    start: Callable[..., Running], maker: Maker
) -> None:
    maker.publishes(7, another("seven"))
    slow = CHANGED.format("trial.SLOWER = trial.SLOW_MS = 0.0")  # from now on every model is too slow
    agent = start(YARD + "[detect]\nmode = 'full'\n" + UPDATES.format(maker.options), "-c", slow)
    agent.wait(lambda: sum(map(fps, agent.of("health"))) * LOOK_S > 60, "a median of the old model's times")
    assert agent.ask("update_model", newest=True)["ok"]
    agent.wait(lambda: agent.events("model_rolled_back"), "the roll-back")
    detail = agent.events("model_rolled_back")[0]["detail"]
    assert detail["model"] == "mine.tflite"
    assert detail["reason"].startswith("an inference takes ")
    agent.wait(lambda: told(agent) == ("0", "0", ""), "the old model, and no offer of what was refused")
    agent.wait(lambda: json.loads(agent.of("model/state")[-1])["model"]["name"] == SHIPPED.stem, "the old name")
    before = len(agent.of("health"))
    agent.wait(lambda: any(map(fps, agent.of("health")[before + 1 :])), "frames that are looked at")
    state = chosen(agent)
    assert (state["chosen"], state["starts"], state["accepted"], len(state["refused"])) == (None, None, 7, 1)
    assert agent.process.log().count("camera yard: online") == 1, "never started again"
    assert "is the newest there is, and was taken before" in agent.ask("update_model", newest=True)["reason"]


def offered(agent: Running) -> dict[str, object]:
    """The entities that Home Assistant is told of."""
    components: dict[str, object] = json.loads(agent.retained()["homeassistant/device/lookout_pi/config"])["components"]
    return components


def test_a_trial_that_ends_well_keeps_the_model(start: Callable[..., Running], maker: Maker) -> None:
    maker.publishes(7, another("seven"))
    short = CHANGED.format("updates.TRIAL_S = 1.0")
    agent = start(YARD + UPDATES.format(maker.options), "-c", short)
    assert agent.ask("update_model", newest=True)["ok"]
    agent.wait(lambda: agent.events("model_kept"), "the end of the trial")
    assert (chosen(agent)["starts"], told(agent)[0]) == (None, "7")
    agent.write(YARD)
    assert agent.ask("reload")["ok"]
    agent.wait(lambda: agent.of("model/state")[-1] == b"", "the state removed, nobody looks any more")
    agent.wait(lambda: offered(agent).get("model") == {"platform": "update"}, "the entity withdrawn")
    assert "names no manifest" in agent.ask("update_model", newest=True)["reason"]
