"""Brokers that refuse, lie, stall and garble: each cause is told apart, and nothing is lost over it."""

from __future__ import annotations

import itertools
import json
import logging
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.publish import mqtt, session
from agent.publish.publisher import Publisher
from tests.fakes import tcp
from tests.fakes.mosquitto import Broker, Listener, deaf, until
from tests.fakes.scenes import STATES, Model, event, scene, settings

Make = Callable[..., Publisher]


@pytest.fixture
def publish() -> Iterator[Make]:
    """Publishers that are closed at the end."""
    made: list[Publisher] = []

    def publish(port: int, **options: object) -> Publisher:
        made.append(Publisher(settings(port, **options), Model()))
        made[-1].start()
        return made[-1]

    yield publish
    for publisher in made:
        publisher.close(1.0)


@pytest.fixture
def special(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Brokers with lines of their own in the config."""
    made: list[Broker] = []

    def special(extra: str) -> Broker:
        made.append(Broker(tmp_path, extra).start())
        return made[-1]

    yield special
    for broker in made:
        broker.kill()


@pytest.fixture
def serve() -> Iterator[Callable[..., tcp.Server]]:
    made: list[tcp.Server] = []

    def serve(how: Callable[..., None]) -> tcp.Server:
        made.append(tcp.Server(how))
        return made[-1]

    yield serve
    for server in made:
        server.close()


def feed(publisher: Publisher, n: int, **detail: object) -> None:
    for k in range(n):
        publisher.on_scene(scene(0, events=(event("zone_enter", n=k, **detail),)))


def arrived(listener: Listener) -> set[int]:
    return {json.loads(payload)["detail"]["n"] for payload in listener.of("lookout/pi/yard/events")}


PASSWORDS = "listener {{port}} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/passwords"


def with_password(tmp_path: Path, special: Callable[..., Broker]) -> Broker:
    if not shutil.which("mosquitto_passwd"):
        pytest.skip("mosquitto_passwd is not installed")
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(tmp_path / "passwords"), "pi", "right"], check=True)
    (tmp_path / "passwords").chmod(0o644)
    return special("user root\n" + PASSWORDS.format(folder=tmp_path))


def test_a_wrong_password_is_told_as_such_and_never_logged(
    tmp_path: Path, special: Callable[..., Broker], publish: Make, caplog: pytest.LogCaptureFixture
) -> None:
    broker = with_password(tmp_path, special)
    secret = tmp_path / "secret"
    secret.write_text("wrong-hunter2\n")
    with caplog.at_level(logging.DEBUG):
        publisher = publish(broker.port, username="pi", password_file=secret)
        until(lambda: publisher.stats().state in ("password", "not_authorized"), "the refusal")
        secret.write_text("right\n")  # mended while it runs
        until(lambda: publisher.stats().state == "online", "connection")
    assert "hunter2" not in caplog.text
    assert "hunter2" not in str(publisher.stats())


def test_a_broker_that_lets_nobody_listen_is_told_and_served_all_the_same(
    tmp_path: Path, special: Callable[..., Broker], publish: Make, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = publish(special(deaf(tmp_path)).port)
    feed(publisher, 3)
    until(lambda: publisher.stats().acked >= 3 and not publisher.stats().waiting, "the broker to have all events")
    until(lambda: "does not let this device listen to lookout/pi/" in caplog.text, "the complaint")
    assert publisher.stats().state == "online"


def test_a_systemd_credential_is_the_password(
    tmp_path: Path, special: Callable[..., Broker], publish: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = with_password(tmp_path, special)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "mqtt").write_text("right")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    publisher = publish(broker.port, username="pi", password_file=Path("mqtt"))
    until(lambda: publisher.stats().state == "online", "connection")


def certificate(folder: Path, name: str, ca: str = "", expired: bool = False) -> None:
    """<name>.crt and <name>.key, self-signed (an authority) or signed by `ca`, for a host of this name."""
    openssl = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-subj", f"/CN={name}"]
    if not ca:
        run = [*openssl, "-x509", "-out", f"{name}.crt", "-days", "2"]
        subprocess.run(run, cwd=folder, check=True, capture_output=True)
        return
    subprocess.run([*openssl, "-out", f"{name}.csr"], cwd=folder, check=True, capture_output=True)
    (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{name}")
    sign = ["openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key"]
    sign += ["-CAcreateserial", "-out", f"{name}.crt", "-extfile", f"{name}.ext", "-days", "-1" if expired else "2"]
    subprocess.run(sign, cwd=folder, check=True, capture_output=True)


TLS = """listener {{port}} 127.0.0.1
allow_anonymous true
user root
cafile {folder}/ca.crt
certfile {folder}/{name}.crt
keyfile {folder}/{name}.key
{more}"""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused TLS socket open
@pytest.mark.parametrize(
    ("name", "expired", "word"),
    [("localhost", False, "online"), ("localhost", True, "certificate"), ("elsewhere", False, "certificate")],
)
def test_tls_takes_only_a_certificate_that_is_valid_and_of_this_host(
    tmp_path: Path, special: Callable[..., Broker], publish: Make, name: str, expired: bool, word: str
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    certificate(tmp_path, "ca")
    certificate(tmp_path, name, "ca", expired)
    broker = special(TLS.format(folder=tmp_path, name=name, more=""))
    publisher = publish(broker.port, host="localhost", tls={"enabled": True, "ca_file": str(tmp_path / "ca.crt")})
    until(lambda: publisher.stats().state != "connecting", "an answer")
    assert publisher.stats().state == word
    if word == "certificate":
        assert ("expired" if expired else "Hostname mismatch") in publisher.stats().reason


def test_a_client_certificate_opens_the_door_and_its_key_must_be_private(
    tmp_path: Path, special: Callable[..., Broker], publish: Make
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    certificate(tmp_path, "ca")
    certificate(tmp_path, "localhost", "ca")
    certificate(tmp_path, "pi", "ca")
    broker = special(TLS.format(folder=tmp_path, name="localhost", more="require_certificate true"))
    files = {"ca_file": tmp_path / "ca.crt", "cert_file": tmp_path / "pi.crt", "key_file": tmp_path / "pi.key"}
    (tmp_path / "pi.key").chmod(0o644)
    tls = {"enabled": True, **{key: str(path) for key, path in files.items()}}
    publisher = publish(broker.port, host="localhost", tls=tls)
    until(lambda: publisher.stats().state == "credentials", "the complaint")
    assert "chmod 600" in publisher.stats().reason
    (tmp_path / "pi.key").chmod(0o600)
    until(lambda: publisher.stats().state == "online", "connection")


def test_two_agents_of_one_name_are_told_so(special: Callable[..., Broker], publish: Make) -> None:
    broker = special("")
    agents = [publish(broker.port), publish(broker.port)]
    until(lambda: any(agent.stats().state == "taken_over" for agent in agents), "the eviction")
    reason = next(agent.stats().reason for agent in agents if agent.stats().state == "taken_over")
    assert "another client" in reason
    assert "'lookout-pi'" in reason
    until(lambda: any(agent.stats().state == "online" for agent in agents), "the other has peace")


def test_a_host_that_does_not_exist_is_told_as_such(publish: Make) -> None:
    publisher = publish(1883, host="no-such-host.invalid")
    until(lambda: publisher.stats().state == "unknown_host", "the reason")


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


def test_complaints_come_at_once_and_then_rarely(
    publish: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "TOLD_EVERY_S", 0.5)
    with caplog.at_level(logging.WARNING):
        publish(1, retry_s=(0.02, 0.02))
        until(lambda: len(caplog.records) == 3, "three complaints")
    times = [record.created for record in caplog.records]
    assert min(b - a for a, b in itertools.pairwise(times)) >= 0.45
