"""Who is let in, who is told why not, and by which certificate: brokers with passwords, TLS, and no name."""

from __future__ import annotations

import itertools
import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.publish import mqtt
from tests.fakes.mosquitto import Broker, deaf, until
from tests.publish.reached import Make, feed

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


def test_complaints_come_at_once_and_then_rarely(
    publish: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "TOLD_EVERY_S", 0.5)
    with caplog.at_level(logging.WARNING):
        publish(1, retry_s=(0.02, 0.02))
        until(lambda: len(caplog.records) == 3, "three complaints")
    times = [record.created for record in caplog.records]
    assert min(b - a for a, b in itertools.pairwise(times)) >= 0.45
