"""The facade against a real broker: what arrives, what is retained, what happens when the broker goes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import config
from agent.areas import Zone
from agent.data import CameraState, LookoutError
from agent.device.health import Board
from agent.publish import Order, Received
from agent.publish.commands import Reload
from agent.publish.publisher import Publisher, gone
from agent.publish.topics import frigate, homeassistant
from tests.fakes.mosquitto import Broker, Listener, free_port, until
from tests.fakes.scenes import STATES, Model, event, scene, settings

Listen = Callable[..., Listener]


@pytest.fixture
def publish(broker: Broker) -> Iterator[Callable[..., Publisher]]:
    made: list[Publisher] = []

    def publish(*cameras: str, **options: object) -> Publisher:
        publisher = Publisher(settings(broker.port, *cameras, **options), Model())
        publisher.start()
        made.append(publisher)
        return publisher

    yield publish
    for publisher in made:
        publisher.close(1.0)


def test_birth_camera_status_detections_and_events_arrive(listen: Listen, publish: Callable[..., Publisher]) -> None:
    heard = listen()
    publisher = publish()
    publisher.on_camera(CameraState("yard", True, ""))
    until(lambda: b"online" in heard.of("lookout/pi/yard/status"), "camera online")
    publisher.on_scene(scene(2, events=(event(), event("zone_enter", track=2))))
    until(lambda: len(heard.of("lookout/pi/yard/events")) == 2, "two events")
    until(lambda: heard.of("lookout/pi/yard/detections"), "detections")
    assert heard.of("lookout/pi/status") == [b"online"]
    events = [json.loads(payload) for payload in heard.of("lookout/pi/yard/events")]
    assert [(e["seq"], e["kind"], e["label"]) for e in events] == [
        (1, "track_start", "person"),
        (2, "zone_enter", "person"),
    ]
    assert len({e["id"] for e in events}) == 2
    assert len(json.loads(heard.of("lookout/pi/yard/detections")[0])["tracks"]) == 2


def test_states_are_retained_and_events_are_not(listen: Listen, publish: Callable[..., Publisher]) -> None:
    first = listen()
    publisher = publish()
    publisher.on_camera(CameraState("yard", True, ""))
    publisher.on_scene(scene(events=(event(),)))
    until(lambda: first.of("lookout/pi/yard/events"), "the event")
    until(lambda: b"online" in first.of("lookout/pi/yard/status"), "camera online")
    late = listen()
    until(lambda: len(late.messages) >= STATES, "retained states")
    assert {(topic, payload) for topic, payload, retained in late.messages if retained} == {
        ("lookout/pi/status", b"online"),
        ("lookout/pi/yard/status", b"online"),
        ("lookout/pi/yard/anomalies/active", b"0"),
    }
    assert not late.of("lookout/pi/yard/events")


def test_a_clean_close_says_offline_and_a_dead_process_is_told_by_the_will(
    broker: Broker, listen: Listen, publish: Callable[..., Publisher]
) -> None:
    heard = listen("lookout/pi/status")
    publisher = publish()
    until(lambda: heard.of("lookout/pi/status") == [b"online"], "birth")
    publisher.close()
    until(lambda: heard.of("lookout/pi/status") == [b"online", b"offline"], "goodbye")
    assert not publisher._thread.is_alive()
    other = publish()
    until(lambda: len(heard.of("lookout/pi/status")) == 3, "birth of the second")
    session = other._connection.session
    assert session
    session._client.socket().close()  # type: ignore[union-attr]  as a crash of the process would
    until(lambda: b"offline" in heard.of("lookout/pi/status")[2:], "the will")
    until(lambda: heard.of("lookout/pi/status")[-1] == b"online", "it came back")


def test_events_made_while_the_broker_is_away_arrive_in_order_when_it_is_back(
    broker: Broker, publish: Callable[..., Publisher]
) -> None:
    publisher = publish()
    until(lambda: publisher.stats().state == "online", "connection")
    broker.kill()
    until(lambda: publisher.stats().state != "online", "loss noticed")
    for n in range(200):
        publisher.on_scene(scene(0, events=(event(n=n),)))
    until(lambda: publisher.stats().waiting == 200, "all accepted")
    broker.start()
    # subscribing races with the publisher's return: a subscriber of its own must be there first
    listener = Listener(broker.port, "lookout/pi/yard/events")
    until(lambda: publisher.stats().waiting == 0, "outbox empty")
    seqs = [json.loads(payload)["seq"] for payload in listener.of("lookout/pi/yard/events")]
    assert seqs == sorted(seqs)
    listener.close()


def test_everything_retained_is_told_again_to_a_broker_that_forgot(
    broker: Broker, publish: Callable[..., Publisher]
) -> None:
    publisher = publish()
    publisher.on_camera(CameraState("yard", True, ""))
    until(lambda: publisher.stats().acked >= STATES, "states acknowledged")
    broker.kill()  # persistence is off: it remembers nothing
    broker.start()
    listener = Listener(broker.port, "#")
    want = {("lookout/pi/status", b"online"), ("lookout/pi/yard/status", b"online")}
    until(lambda: want <= {(t, p) for t, p, _ in listener.messages}, "both states")
    listener.close()


def test_an_absent_broker_is_said_once_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with caplog.at_level(logging.INFO), Publisher(settings(port), Model()) as publisher:
        until(lambda: publisher.stats().state == "unreachable", "the failure")
        time.sleep(1.0)  # several retries
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith(f"mqtt 127.0.0.1:{port}: connection refused; retrying in 0.")


def test_a_topic_that_raises_silences_neither_the_others_nor_itself(
    listen: Listen, publish: Callable[..., Publisher], caplog: pytest.LogCaptureFixture
) -> None:
    heard = listen("lookout/pi/yard/#")
    publisher = publish()
    broken = scene(1, events=(event(thing=object()),))  # not JSON
    publisher.on_scene(broken)
    publisher.on_scene(scene(1, t=11.0, events=(event("zone_enter", t=11.0),)))
    until(lambda: heard.of("lookout/pi/yard/events"), "the next event")
    assert json.loads(heard.of("lookout/pi/yard/events")[0])["kind"] == "zone_enter"
    assert publisher.stats().errors == 1
    assert "going on without" in caplog.text


def test_an_exception_in_a_callback_cannot_silence_the_connection(
    listen: Listen, publish: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heard = listen("lookout/pi/yard/events")
    publisher = publish()
    until(lambda: publisher.stats().acked == STATES, "the states acknowledged")
    session = publisher._connection.session
    assert session
    monkeypatch.setattr(session, "_note", lambda _: 1 / 0)  # raises inside paho's callback
    publisher.on_scene(scene(0, events=(event(),)))
    until(lambda: len(heard.of("lookout/pi/yard/events")) == 2, "sent again by a new connection")
    until(lambda: publisher.stats().waiting == 0, "and acknowledged")


def test_a_closed_publisher_ends_even_where_no_broker_ever_was() -> None:
    publisher = Publisher(settings(free_port()), Model())
    publisher.start()
    publisher.on_scene(scene(0, events=(event(),)))
    publisher.close(2.0)
    assert not publisher._thread.is_alive()
    assert not publisher._connection._thread.is_alive()
    Publisher(settings(free_port()), Model()).close()  # never started


def test_scenes_without_events_are_dropped_rather_than_piled_up() -> None:
    publisher = Publisher(settings(free_port()), Model())  # not started: nothing is worked through
    for n in range(100):
        publisher.on_scene(scene(1, seq=n))
    publisher.on_scene(scene(1, events=(event(),)))
    assert publisher.stats().dropped == 84
    assert publisher._inbox.qsize() == 17
    publisher.close()


def test_password_file_that_is_missing_is_said_and_retried(tmp_path: Path) -> None:
    wrong = settings(free_port(), username="pi", password_file=tmp_path / "none")
    with Publisher(wrong, Model()) as publisher:
        until(lambda: publisher.stats().state == "credentials", "the reason")
        assert "password_file" in publisher.stats().reason


def test_a_camera_cannot_be_named_like_the_commands() -> None:
    with pytest.raises(LookoutError, match=r"cameras.command.* the name is taken"):
        Publisher(settings(1883, "command"), Model())


def test_an_accelerator_that_goes_and_comes_back_is_told_once_each(
    listen: Listen, publish: Callable[..., Publisher]
) -> None:
    heard = listen()
    publisher = publish()
    until(lambda: publisher.stats().state == "online", "connection")
    board = Board().look()
    for runs_on in (
        "edgetpu usb:0",
        "edgetpu usb:0",
        "cpu (edgetpu lost: gone)",
        "cpu (edgetpu lost: gone)",
        "edgetpu usb:0",
    ):
        publisher.on_health(msgspec.structs.replace(board, runs_on=runs_on))
    until(lambda: len(heard.of("lookout/pi/events")) == 2, "two events")
    told = [json.loads(payload) for payload in heard.of("lookout/pi/events")]
    assert [(event["kind"], event["detail"]["runs_on"]) for event in told] == [
        ("accelerator_lost", "cpu (edgetpu lost: gone)"),
        ("accelerator_back", "edgetpu usb:0"),
    ]
    until(lambda: heard.of("lookout/pi/health"), "health")
    assert json.loads(heard.of("lookout/pi/health")[-1])["runs_on"] == "edgetpu usb:0"


def test_a_successor_takes_over_what_waits_in_memory_and_removes_what_is_over(listen: Listen, broker: Broker) -> None:
    heard = listen("lookout/#")
    yard, gate = config.camera("synthetic"), config.camera("synthetic")
    old_settings = msgspec.structs.replace(settings(broker.port), cameras={"yard": yard, "gate": gate})
    new_settings = msgspec.structs.replace(settings(broker.port), cameras={"yard": yard})
    first = Publisher(old_settings, Model())
    first.start()
    until(lambda: b"online" in heard.of("lookout/pi/status"), "birth")
    first._writer._paused_until = float("inf")  # a broker that refuses: events have to wait
    for n in range(5):
        first.on_scene(scene(0, events=(event("zone_enter", n=n),)))
    until(lambda: first.stats().waiting == 5, "five events wait")
    second = Publisher(new_settings, Model(), succeeds=first)
    second.answer(Order("reload", Reload(), Received("lookout/pi/command/reload", b"")), "")
    first.close(forget=gone(old_settings, new_settings))
    second.start()
    until(lambda: len(heard.of("lookout/pi/yard/events")) == 5, "they arrive")
    assert [json.loads(payload)["seq"] for payload in heard.of("lookout/pi/yard/events")] == [1, 2, 3, 4, 5]
    second.close()
    late = listen("lookout/#")
    until(lambda: late.of("lookout/pi/status"), "what is retained")
    assert not [topic for topic, _, _ in late.messages if "/gate/" in topic]


@pytest.mark.parametrize(
    ("change", "topic", "is_gone"),
    [
        ({}, "lookout/pi/yard/status", False),
        ({"device": "other"}, "lookout/pi/yard/status", True),
        ({"device": "other"}, "homeassistant/device/lookout_pi/config", True),
        ({"cameras": {"gate": config.camera("synthetic")}}, "lookout/pi/yard/counts/door/all", True),
        ({"cameras": {"gate": config.camera("synthetic")}}, "frigate/door/person", True),
        ({"cameras": {"gate": config.camera("synthetic")}}, "frigate/gate/person", False),
        ({"mqtt": config.Mqtt()}, "homeassistant/device/lookout_pi/config", True),
        ({"mqtt": config.Mqtt()}, "lookout/pi/status", False),
    ],
)
def test_what_nobody_speaks_on_any_more(change: dict[str, Any], topic: str, is_gone: bool) -> None:
    door = {"door": Zone(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))}
    yard = msgspec.structs.replace(config.camera("synthetic"), zones=door)
    topics = {"homeassistant": homeassistant.Options(), "frigate": frigate.Options()}
    before = config.Config(
        cameras={"yard": yard, "gate": config.camera("synthetic")}, device="pi", mqtt=config.Mqtt(topics=topics)
    )
    assert gone(before, msgspec.structs.replace(before, **change))(topic) == is_gone


def test_what_an_earlier_run_left_of_cameras_and_zones_that_are_no_more_is_removed(
    listen: Listen, broker: Broker
) -> None:
    heard = listen("lookout/#")
    left = {
        *("lookout/pi/gate/status", "lookout/pi/gate/fps/state", "lookout/pi/gate/counts/door/all"),
        *("lookout/pi/yard/counts/old/person/in", "lookout/pi/gate/anomalies/active"),
    }
    stays = {"lookout/pi/yard/counts/door/all", "lookout/other/gate/status", "lookout/pi/command/status"}
    for topic in left | stays:
        heard.client.publish(topic, b"1", qos=1, retain=True).wait_for_publish(5)
    yard = msgspec.structs.replace(
        config.camera("synthetic"), zones={"door": Zone(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))}
    )
    now = msgspec.structs.replace(settings(broker.port), cameras={"yard": yard})
    with Publisher(now, Model()):
        until(lambda: left == {topic for topic, payload, _ in heard.messages if not payload}, "their removal")
    late = listen("lookout/#")
    until(lambda: stays <= {topic for topic, _, retained in list(late.messages) if retained}, "what stays")
