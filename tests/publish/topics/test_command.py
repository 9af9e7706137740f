"""Commands: what is carried out, what is refused, and that nothing that comes over the wire can hurt."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.device.manifest import Standing
from agent.publish import Durable, Live, Message, Order, Received, Scope, State, Topic, commands, wire
from agent.publish.payloads import Model
from agent.publish.publisher import Publisher
from agent.publish.switches import Switches, Wanted
from agent.publish.topics import command
from tests.fakes.clock import FixedClock
from tests.fakes.mosquitto import Broker, Listener, until
from tests.fakes.scenes import LABELS, scene, settings
from tests.fakes.scenes import Model as Spoken

ALL = ("set", "reload", "update_model")


class Resets:
    """Counters of which only the resetting is of interest."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None]] = []

    def changes(self, since: int = 0) -> tuple[int, dict[Any, int]]:
        return since, {}

    def reset(self, name: str, camera: str | None = None) -> int:
        self.calls.append((name, camera))
        return 1


def made(
    *,
    folder: Path | None = None,
    obeys: Collection[str] = ALL,
    counters: Resets | None = None,
    order: Callable[[Order], None] = lambda _: None,
    offers: Callable[[], Standing] | None = None,
    **options: Any,
) -> tuple[Topic, Scope]:
    sender = wire.Sender("pi", LABELS, Model("ssd", "ab"), FixedClock())
    switches = Switches(("yard", "gate"), folder)
    scope = Scope(
        "lookout/pi", sender, ("yard", "gate"), {}, counters or Resets(), switches, obeys, order, offers=offers
    )
    return command.create(command.Options(enabled=True, **options), scope), scope


def ask(topic: Topic, verb: str, payload: Any, **more: Any) -> list[Message]:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return list(topic.received(Received(f"lookout/pi/command/{verb}", data, **more)))


def outcome(messages: list[Message]) -> dict[str, Any]:
    """The one audit event's detail."""
    (audit,) = [message for message in messages if isinstance(message, Durable)]
    assert audit.topic == "lookout/pi/events"
    assert audit.draft.kind == "command"
    return audit.draft.detail


def test_set_changes_only_what_is_named_and_shows_it() -> None:
    topic, scope = made()
    scope.switches.put("yard", Wanted(fps=2.0))
    messages = ask(topic, "set", {"camera": "yard", "detection": False, "confidence": 0.5})
    assert scope.switches["yard"] == Wanted(detection=False, confidence=0.5, fps=2.0)
    assert scope.switches["gate"] == Wanted()
    states = {message.topic: message.payload for message in messages if isinstance(message, State)}
    assert states == {
        "lookout/pi/yard/detection/state": b"OFF",
        "lookout/pi/yard/confidence/state": b"0.5",
        "lookout/pi/yard/fps/state": b"2",
        "lookout/pi/yard/motion_masks/state": b"default",
        "lookout/pi/yard/privacy_masks/state": b"default",
    }
    assert outcome(messages) == {
        "verb": "set",
        "ok": True,
        "reason": "",
        "arguments": {"camera": "yard", "detection": False, "confidence": 0.5},
    }
    ask(topic, "set", {"camera": "yard", "fps": None})
    assert scope.switches["yard"].fps is None


def test_what_was_set_survives_a_restart(tmp_path: Path) -> None:
    topic, _ = made(folder=tmp_path)
    ask(topic, "set", {"camera": "yard", "detection": False})
    assert Switches(("yard", "gate"), tmp_path)["yard"] == Wanted(detection=False)
    (tmp_path / "switches.json").write_text("{broken")
    assert Switches(("yard", "gate"), tmp_path)["yard"] == Wanted()


def test_snapshot_is_a_jpeg_of_the_latest_frame_in_its_colours() -> None:
    topic, _ = made()
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 255
    shown = scene(0)
    list(topic.scene(with_picture(shown, red)))
    (jpeg,) = [
        m
        for m in ask(topic, "snapshot", {"camera": "yard"})
        if isinstance(m, Live) and m.topic.endswith("yard/snapshot")
    ]
    picture = cv2.imdecode(np.frombuffer(jpeg.payload, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (48, 64, 3)
    assert picture[20, 20].tolist() == pytest.approx([0, 0, 254], abs=4)  # OpenCV's order: blue, green, red
    assert jpeg.content_type == "image/jpeg"


def with_picture(shown: Any, image: Any) -> Any:
    return type(shown)(
        shown.camera, type(shown.frame)(image, 0, 0.0), shown.detections, shown.tracks, shown.events, shown.times
    )


def test_counts_are_reset_by_name() -> None:
    counters = Resets()
    topic, _ = made(counters=counters)
    assert outcome(ask(topic, "reset_counts", {"name": "door", "camera": "yard"}))["ok"]
    assert counters.calls == [("door", "yard")]


@pytest.mark.parametrize(
    ("verb", "payload", "reason"),
    [
        ("set", {"camera": "yard", "confidence": 2}, "Expected `float` <= 1.0 - at `$.confidence`"),
        ("set", {"camera": "yard", "run": "rm"}, "Object contains unknown field `run`"),
        ("set", {"camera": "attic"}, "there is no camera 'attic'; there are: yard, gate"),
        ("set", {"camera": "../../etc"}, "Expected `str` matching regex '^[A-Za-z0-9_-]{1,64}$' - at `$.camera`"),
        ("set", b'{"camera": "yard", "confidence": NaN}', "JSON is malformed: invalid character (byte 33)"),
        ("set", b"x" * 20_000, "larger than 16384 bytes"),
        ("set", b"", "Object missing required field `camera`"),
        ("snapshot", {"camera": "gate"}, "camera gate has not shown anything yet"),
        ("shell", {"run": "ls"}, "not allowed; allowed here: snapshot, set, reset_counts, reload"),
        (
            *("set", {"camera": "yard", "motion_masks": [[[0, 0], [1, 1]]]}),
            "Expected `array` of length >= 3 - at `$.motion_masks[0]`",
        ),
        ("set", {"camera": "yard", "motion_masks": [[[0, 0], [1, 1], [0.5, 0.5]]]}, "motion_masks[0] has no area"),
        ("set", {"camera": "yard", "privacy_masks": [[[0, 0], [1, 1], [1, 0], [0, 1]]]}, "privacy_masks[0] crosses"),
        ("reload", {"path": "/etc/passwd"}, "Object contains unknown field `path`"),
        ("update_model", {"file": "m.tflite", "sha256": "ab" * 32}, "not allowed; allowed here: snapshot, set"),
    ],
)
def test_refusals_say_why(verb: str, payload: Any, reason: str) -> None:
    topic, _ = made()
    told = outcome(ask(topic, verb, payload))
    assert not told["ok"]
    assert told["reason"].startswith(reason)


def test_verbs_that_are_not_on_the_list_or_that_nobody_carries_out_are_refused() -> None:
    topic, _ = made(verbs=("snapshot",))
    assert "allowed here: snapshot" in outcome(ask(topic, "set", {"camera": "yard"}))["reason"]
    topic, _ = made(obeys=())
    assert "not allowed" in outcome(ask(topic, "set", {"camera": "yard"}))["reason"]


def test_what_the_loop_must_do_is_ordered_and_answered_when_it_is_done() -> None:
    orders: list[Order] = []
    topic, _ = made(order=orders.append)
    assert ask(topic, "reload", {}, response_topic="app/answers", correlation=b"7") == []
    (order,) = orders
    for refusal in ("agent.toml:3: no", ""):
        messages = list(topic.answered(order, refusal))
        assert outcome(messages) == {"verb": "reload", "ok": not refusal, "reason": refusal, "arguments": {}}
        answers = {m.topic: m.correlation for m in messages if isinstance(m, Live)}
        assert answers == {"lookout/pi/command/reload/result": None, "app/answers": b"7"}


@pytest.mark.parametrize("file", ["../m.tflite", "/etc/m.tflite", "a/m.tflite", ".tflite", "m.sh", "http://x/m.tflite"])
def test_a_model_is_named_and_never_a_path(file: str, tmp_path: Path) -> None:
    orders: list[Order] = []
    topic, _ = made(order=orders.append, verbs=("update_model",), models_dir=tmp_path)
    assert not outcome(ask(topic, "update_model", {"file": file, "sha256": "ab" * 32}))["ok"]
    ask(topic, "update_model", {"file": "m-1.tflite", "sha256": "ab" * 32})
    assert [order.arguments.file for order in orders] == ["m-1.tflite"]


@pytest.mark.parametrize(
    ("payload", "is_good"),
    [
        ({"newest": True}, True),
        ({"file": "m.tflite", "sha256": "ab" * 32}, True),
        ({"newest": True, "file": "m.tflite", "sha256": "ab" * 32}, False),
        ({"newest": True, "file": "m.tflite"}, False),
        ({"newest": False}, False),
        ({"file": "m.tflite"}, False),
        ({"sha256": "ab" * 32}, False),
        ({"newest": "https://x/m.tflite"}, False),
        ({"newest": True, "url": "https://x/m.tflite"}, False),
        ({}, False),
    ],
)
def test_a_model_comes_from_the_folder_or_from_the_maker(payload: dict[str, object], is_good: bool) -> None:
    orders: list[Order] = []
    topic, _ = made(order=orders.append, verbs=("update_model",), offers=Standing)
    messages = ask(topic, "update_model", payload)
    assert len(orders) == is_good
    assert is_good or not outcome(messages)["ok"]


def test_the_answer_goes_where_mqtt_5_wants_it() -> None:
    topic, _ = made()
    messages = ask(topic, "set", {"camera": "yard"}, response_topic="app/answers", correlation=b"42")
    answers = {m.topic: m for m in messages if isinstance(m, Live)}
    assert set(answers) == {"lookout/pi/command/set/result", "app/answers"}
    assert answers["app/answers"].correlation == b"42"
    result = json.loads(answers["app/answers"].payload)
    assert (result["schema"], result["verb"], result["ok"]) == ("lookout/result/1", "set", True)
    wild = ask(topic, "set", {"camera": "yard"}, response_topic="app/#")
    assert {m.topic for m in wild if isinstance(m, Live)} == {"lookout/pi/command/set/result"}


def test_a_flood_is_refused_with_one_word(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    topic, _ = made()
    answers = [ask(topic, "set", {"camera": "yard"}) for _ in range(commands.BURST + 50)]
    assert all(outcome(answer)["ok"] for answer in answers[: commands.BURST])
    assert "too many" in outcome(answers[commands.BURST])["reason"]
    assert not any(answers[commands.BURST + 1 :])
    now = 101.5
    assert outcome(ask(topic, "set", {"camera": "yard"}))["ok"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["camera", "fps", "name"]) | st.text(), inner),
    max_leaves=10,
)


@given(
    verb=st.sampled_from([*commands.VERBS, "", "x"]) | st.text(max_size=100),
    payload=st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()),
)
def test_nothing_that_comes_in_raises_or_changes_more_than_it_may(verb: str, payload: bytes) -> None:
    topic, scope = made(obeys=("set",))
    told = outcome(ask(topic, verb, payload))
    if not told["ok"]:
        assert scope.switches["yard"] == Wanted() == scope.switches["gate"]
    assert len(msgspec.json.encode(told)) < 4_000


def test_deep_nesting_is_refused() -> None:
    topic, _ = made()
    assert not outcome(ask(topic, "set", b"[" * 16_000))["ok"]


def test_over_a_broker_a_command_is_obeyed_and_a_retained_one_is_not(tmp_path: Path) -> None:
    broker = Broker(tmp_path).start()
    listener = Listener(broker.port, "lookout/pi/#")
    old = json.dumps({"camera": "yard", "confidence": 0.1})
    listener.client.publish("lookout/pi/command/set", old, qos=1, retain=True).wait_for_publish(5)
    options = command.Options(enabled=True)
    config = settings(broker.port, topics={"command": options})
    with Publisher(config, Spoken(), obeys={"set"}) as publisher:
        until(lambda: listener.of("lookout/pi/yard/detection/state"), "the states")
        listener.client.publish("lookout/pi/command/set", json.dumps({"camera": "yard", "fps": 3}), qos=1)
        until(lambda: listener.of("lookout/pi/command/set/result"), "the answer")
        until(lambda: b"3" in listener.of("lookout/pi/yard/fps/state"), "the state")
        assert publisher.wanted("yard") == Wanted(fps=3.0)
    assert len(listener.of("lookout/pi/events")) == 1
    listener.close()
    broker.kill()


def test_commands_are_off_by_default(tmp_path: Path) -> None:
    assert not command.Options().enabled
