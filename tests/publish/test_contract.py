"""The contract on paper is the contract in the code is what a broker hears."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.data import Reading, Strange
from agent.device.health import Health
from agent.device.manifest import Standing
from agent.publish import contract
from agent.publish.payloads import PAYLOADS
from agent.publish.publisher import Publisher
from agent.publish.topics import anomalies, command, events, frigate, homeassistant
from agent.track.counters import Counters
from tests.fakes.mosquitto import Broker, Listener, until
from tests.fakes.scenes import Model, anomaly, event, scene, settings

DOCS = Path(__file__).parent.parent.parent / "docs" / "mqtt"


@pytest.mark.parametrize("name", contract.files())
def test_the_files_are_what_the_code_makes(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == contract.files()[name], "run: python -m agent.publish.contract docs/mqtt"


def test_no_old_schema_lies_about() -> None:
    assert {p.name for p in DOCS.iterdir()} == {*contract.files(), "consumer.py"}


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_payload_says_schema_device_and_time_and_requires_nothing_else_than_it_has(name: str) -> None:
    schema = contract.schemas()[name]
    assert {"device", "time", "clock_trusted"} <= set(schema["required"])
    assert schema["properties"]["schema"]["enum"] == [schema["properties"]["schema"]["default"]]


def test_references_of_the_asyncapi_document_lead_somewhere() -> None:
    text = json.dumps(contract.asyncapi())
    for reference in re.findall(r'"\$ref": "([^"]+)"', text):
        if reference.startswith("#/channels/"):
            assert reference.removeprefix("#/channels/") in contract.asyncapi()["channels"]
        else:
            assert (DOCS / reference).exists()


@pytest.mark.filterwarnings("error")
def tell_everything(publisher: Publisher, counters: Counters) -> None:
    """Health, and two scenes with a bit of all there is."""
    publisher.on_health(Health(50.0, (), (), 0.1, 0.1, 1.0, 1.0, 1.0, clock_synchronised=True))
    strange = {"porch": Strange(10.0, (0.0, 0.0, 64.0, 48.0), 9.0, 4.0, (0.0, 1.0), np.ones((2, 2), np.float32))}
    first = scene(1, events=(event(), event("zone_enter")), anomalies=(anomaly(),))
    readings = {"seeds": Reading(10.0, 7.0, 0.8, 5, {"area_px": 320.5})}
    publisher.on_scene(dataclasses.replace(first, strange=strange, readings=readings))
    counters.add("yard", "door", "person", "in")
    publisher.on_scene(scene(1, t=20.0, seq=1, events=(event("track_end", t=20.0),)))


def test_every_topic_on_the_broker_is_in_the_table_with_its_retain_flag(tmp_path: Path) -> None:
    broker = Broker(tmp_path).start()
    listener = Listener(broker.port, "#")
    topics = {
        "events": events.Options(snapshots=True),
        "anomalies": anomalies.Options(snapshots=True),
        "command": command.Options(enabled=True),
        "homeassistant": homeassistant.Options(),
        "frigate": frigate.Options(),
    }
    counters = Counters()
    counters.declare("yard", "door", is_zone=True)
    made = Publisher(
        settings(broker.port, topics=topics), Model(), counters=counters, obeys={"set"}, offers=lambda: Standing(6, 7)
    )
    with made as publisher:
        until(lambda: publisher.stats().state == "online", "connection")
        tell_everything(publisher, counters)
        for verb, asked in (("snapshot", {"camera": "yard"}), ("set", {"camera": "yard", "fps": 2})):
            listener.client.publish(f"lookout/pi/command/{verb}", json.dumps(asked), qos=1)
        until(lambda: listener.of("lookout/pi/yard/snapshot"), "the snapshot")
        until(lambda: listener.of("lookout/pi/health"), "health")
        until(lambda: listener.of("lookout/pi/command/set/result"), "the answer")
    listener.close()
    late = Listener(broker.port, "#")
    late.client.publish("end", b"", qos=1)
    until(lambda: late.of("end"), "all that is retained")
    late.close()
    broker.kill()
    retained = {topic for topic, _, _ in late.messages} - {"end"}
    seen = set()
    for topic, payload, _ in listener.messages:
        rows = [row for row in contract.TOPICS if contract.pattern(row).fullmatch(topic)]
        assert rows, f"{topic} is not in the table"
        seen.add(rows[0].topic)
        assert rows[0].retained == (topic in retained), topic
        if rows[0].payload in PAYLOADS:
            check(json.loads(payload), contract.schemas()[rows[0].payload])
    assert seen == {row.topic for row in contract.TOPICS}


def check(payload: dict[str, Any], schema: dict[str, Any]) -> None:
    """The part of JSON Schema that matters here: nothing missing, nothing that is not described."""
    assert set(schema["required"]) <= set(payload)
    assert set(payload) <= set(schema["properties"])
    assert payload["schema"] == schema["properties"]["schema"]["default"]
    assert re.fullmatch(schema["properties"]["time"]["pattern"], payload["time"])


def load_consumer() -> Any:
    spec = importlib.util.spec_from_file_location("consumer", DOCS / "consumer.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Consumer()


def test_the_reference_consumer_drops_what_it_knows_and_counts_what_is_missing() -> None:
    consumer = load_consumer()

    def take(seq: int, device: str = "pi", one: str = "") -> tuple[bool, int]:
        message, missing = consumer.take(json.dumps({"id": one or f"{device}{seq}", "seq": seq, "device": device}))
        return message is not None, missing

    assert take(5) == (True, 0)  # who joins late misses nothing
    assert take(6) == (True, 0)
    assert take(6) == (False, 0)
    assert take(5) == (False, 0)
    assert take(9) == (True, 2)
    assert take(1, "other") == (True, 0)
    assert take(10) == (True, 0)
    assert take(1, one="new run, storage lost") == (True, 0)
    assert take(2, one="its second") == (True, 0)
