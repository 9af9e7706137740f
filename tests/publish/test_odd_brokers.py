"""Brokers that are slow, forgetful, garbled, someone else or none: nothing is lost, and each is told as such."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.publish import mqtt, session
from tests.fakes import tcp
from tests.fakes.mosquitto import Broker, Listener, until
from tests.fakes.scenes import STATES, event, scene
from tests.publish.reached import Make, arrived, feed


def test_a_broker_that_never_answers_is_told_as_such(
    serve: Callable[..., tcp.Server], publish: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CONNACK_S", 0.5)
    publisher = publish(serve(tcp.silent).port)
    until(lambda: publisher.stats().state == "timeout", "the reason")
    assert "no answer to CONNECT" in publisher.stats().reason


def test_a_broker_that_knows_only_3_1_1_is_spoken_to_in_3_1_1(serve: Callable[..., tcp.Server], publish: Make) -> None:
    publisher = publish(serve(tcp.only_3_1_1).port)
    feed(publisher, 20)
    until(lambda: publisher.stats().acked == 20 + STATES, "20 events and the states acknowledged")


def test_a_broker_that_loses_all_acknowledgements_is_given_another_connection(
    serve: Callable[..., tcp.Server], publish: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pings are answered, so that only what is missing tells: else the window would stay full for ever."""
    monkeypatch.setattr(session, "UNANSWERED", 0.05)
    server = serve(tcp.forgetful)
    feed(publish(server.port, keepalive=5, retry_s=(0.02, 0.05)), 3)
    until(lambda: server.connections >= 3, "connections anew")


def test_a_broker_that_answers_in_no_mqtt_costs_a_line_and_a_connection(
    serve: Callable[..., tcp.Server],
    publish: Make,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt, "TOLD_EVERY_S", 0.0)
    server = serve(tcp.babbling)
    with caplog.at_level(logging.DEBUG):
        publish(server.port, retry_s=(0.02, 0.05))
        until(lambda: "the broker answers in no mqtt" in caplog.text, "the reason")
    assert server.connections > 1
    assert not [record for record in caplog.records if record.exc_info]


def test_an_event_too_large_for_the_broker_is_given_up_and_told(special: Callable[..., Broker], publish: Make) -> None:
    broker = special("max_packet_size 1000")
    listener = Listener(broker.port, "lookout/#")
    publisher = publish(broker.port)
    feed(publisher, 1)
    publisher.on_scene(scene(0, events=(event("zone_enter", n=1, text="x" * 2000),)))
    publisher.on_scene(scene(0, events=(event("zone_enter", n=2),)))
    until(lambda: arrived(listener) == {0, 2}, "the events before and after")
    until(lambda: listener.of("lookout/pi/events"), "the gap told")
    gap = json.loads(listener.of("lookout/pi/events")[0])
    assert gap["kind"] == "gap"
    assert gap["detail"] == {"reason": "too large for the broker", "first": 2, "last": 2, "count": 1}
    listener.close()


def test_an_event_on_which_a_3_1_1_broker_hangs_up_is_given_up_after_some_tries(
    special: Callable[..., Broker], publish: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "V5", session.V311)  # which has no way to say what is too large
    monkeypatch.setattr(mqtt, "TAKEN_OVER_S", 0.0)  # cut again and again it seems to be another agent's work
    broker = special("max_packet_size 1000")
    listener = Listener(broker.port, "lookout/#")
    publisher = publish(broker.port, retry_s=(0.05, 0.1))
    feed(publisher, 20)
    publisher.on_scene(scene(0, events=(event("zone_enter", n=20, text="x" * 2000),)))
    for n in range(21, 200):
        publisher.on_scene(scene(0, events=(event("zone_enter", n=n),)))
    until(lambda: arrived(listener) == set(range(200)) - {20}, "all others")
    until(lambda: listener.of("lookout/pi/events"), "the gap told")
    gap = json.loads(listener.of("lookout/pi/events")[0])
    assert gap["detail"] == {"reason": "the broker cuts the connection on it", "first": 21, "last": 21, "count": 1}
    until(lambda: publisher.stats().waiting == 0, "nothing waits")
    seqs = list(dict.fromkeys(json.loads(payload)["seq"] for payload in listener.of("lookout/pi/yard/events")))
    assert seqs == sorted(seqs)
    listener.close()


def test_a_broker_that_comes_back_as_another_gets_what_waits_and_all_states(
    special: Callable[..., Broker], publish: Make, tmp_path: Path
) -> None:
    first = special("")
    publisher = publish(first.port, retry_s=(0.05, 0.1))
    until(lambda: publisher.stats().state == "online", "connection")
    first.kill()
    feed(publisher, 50)
    (tmp_path / "other").mkdir()
    other = Broker(tmp_path / "other", port=first.port).start()  # the same address, another house: it knows nothing
    listener = Listener(other.port, "lookout/#")
    until(lambda: {b"online"} <= set(listener.of("lookout/pi/status")), "the birth, retained")
    until(lambda: publisher.stats().waiting == 0, "all taken")
    listener.close()
    other.kill()


def test_a_broker_that_takes_one_message_at_a_time_gets_all_in_order(
    special: Callable[..., Broker], publish: Make
) -> None:
    broker = special("max_inflight_messages 1")
    listener = Listener(broker.port, "lookout/pi/yard/events")
    publisher = publish(broker.port)
    feed(publisher, 100)
    until(lambda: len(listener.messages) == 100, "100 events")
    seqs = [json.loads(payload)["seq"] for _, payload, _ in listener.messages]
    assert seqs == list(range(1, 101))
    listener.close()


def test_a_slow_line_delays_but_loses_nothing(
    special: Callable[..., Broker], serve: Callable[..., tcp.Server], publish: Make
) -> None:
    broker = special("")
    listener = Listener(broker.port, "lookout/pi/yard/events")
    publisher = publish(serve(tcp.proxy(broker.port, tcp.slow)).port)
    feed(publisher, 200)
    until(lambda: arrived(listener) == set(range(200)), "200 events")
    listener.close()


def test_garbled_answers_end_connections_not_the_publisher(
    special: Callable[..., Broker], serve: Callable[..., tcp.Server], publish: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = special("")
    listener = Listener(broker.port, "lookout/pi/yard/events")
    server = serve(tcp.proxy(broker.port, tcp.garbling(random.Random(3), 0.05)))
    monkeypatch.setattr(mqtt, "TAKEN_OVER_S", 0.0)  # cut again and again it seems to be another agent's work
    publisher = publish(server.port, retry_s=(0.02, 0.05), keepalive=5)
    feed(publisher, 100)
    until(lambda: arrived(listener) == set(range(100)), "100 events", 120)
    assert publisher._connection._thread.is_alive()
    listener.close()


def test_a_broker_that_is_not_one_is_survived(serve: Callable[..., tcp.Server], publish: Make) -> None:
    def web(sock: object) -> None:
        sock.recv(100)  # type: ignore[attr-defined]
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)  # type: ignore[attr-defined]

    server = serve(web)
    publisher = publish(server.port)
    until(lambda: server.connections > 4, "attempts")
    assert publisher._connection._thread.is_alive()
    assert publisher.stats().state != "online"
