"""`doctor` as a command: a line a finding, the worst decides the exit code, nothing secret is told."""

import json
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.cli import doctor
from agent.device.doctor import Finding
from tests.fakes.mosquitto import Broker, Listener, deaf, free_port, until


def settings(tmp_path: Path, port: int, extra: str = "") -> doctor.config.Config:
    text = f'device = "hall"\n[cameras.a]\nkind = "synthetic"\n[mqtt]\nport = {port}\n{extra}'
    (tmp_path / "agent.toml").write_text(text)
    return doctor.config.load(tmp_path / "agent.toml")


@pytest.mark.parametrize("grades", [["good", "good"], ["good", "poor", "good"], ["broken", "poor"]])
def test_the_worst_finding_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], grades: list[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_: [Finding("x", grade, "text", "cure") for grade in grades])

    assert main(["doctor"]) == max(("good", "poor", "broken").index(grade) for grade in grades)
    assert len(capsys.readouterr().out.splitlines()) == len(grades)
    assert main(["doctor", "--json"]) == max(("good", "poor", "broken").index(grade) for grade in grades)
    assert [json.loads(line)["grade"] for line in capsys.readouterr().out.splitlines()] == grades


def test_a_config_that_is_wrong_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agent.toml").write_text('devise = "x"\n')

    assert main(["doctor", str(tmp_path / "agent.toml"), "--skip", "software", "board", "disk"]) == 2
    assert "agent.toml:1: " in capsys.readouterr().out


def test_a_machine_that_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broker = Broker(tmp_path).start()
    settings(tmp_path, broker.port)
    listener = Listener(broker.port, "#")
    code = main(["doctor", str(tmp_path / "agent.toml"), "--skip", "model", "board", "disk"])
    until(lambda: listener.of("lookout/hall/doctor"), "the doctor's message")
    listener.close()
    broker.kill()

    assert code == 0, capsys.readouterr().out
    assert "camera a" in capsys.readouterr().out


def test_a_broker_that_is_not_there(tmp_path: Path) -> None:
    port = free_port()
    (found,) = doctor.broker(settings(tmp_path, port))

    assert (found.grade, found.text) == ("broken", f"127.0.0.1:{port}: connection refused")
    assert "mosquitto" in found.cure


def test_a_password_that_is_wrong_is_told_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("")
    (tmp_path / "password").write_text("canary-secret\n")
    broker = Broker(tmp_path, f"listener {{port}} 127.0.0.1\npassword_file {tmp_path}/users").start()
    (found,) = doctor.broker(
        settings(tmp_path, broker.port, f'username = "me"\npassword_file = "{tmp_path}/password"\n')
    )
    broker.kill()

    assert found.grade == "broken"
    assert "canary" not in str(found)
    assert "not accepted" in found.text or "not allowed" in found.text


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        ("", ["lookout/hall/doctor", "lookout/hall/a/doctor", "homeassistant/device/lookout_hall/doctor"]),
        ("topic write lookout/hall/+", ["lookout/hall/a/doctor", "homeassistant/device/lookout_hall/doctor"]),
        ("topic write lookout/#", ["homeassistant/device/lookout_hall/doctor"]),
    ],
)
def test_an_acl_that_forbids_some_of_our_topics_is_told_by_name(
    tmp_path: Path, allowed: str, refused: list[str]
) -> None:
    (tmp_path / "acl").write_text(f"topic read #\n{allowed}\n")
    broker = Broker(tmp_path, f"listener {{port}} 127.0.0.1\nallow_anonymous true\nacl_file {tmp_path}/acl").start()
    found = list(doctor.broker(settings(tmp_path, broker.port, "[mqtt.topics.homeassistant]")))
    broker.kill()

    assert {finding.grade for finding in found} == {"broken"}
    told = [f"127.0.0.1:{broker.port}: refuses {topic}: Not authorized" for topic in refused]
    assert [finding.text for finding in found] == told


def test_a_broker_that_forbids_to_listen_for_commands_is_told(tmp_path: Path) -> None:
    broker = Broker(tmp_path, deaf(tmp_path)).start()
    (found,) = doctor.broker(settings(tmp_path, broker.port, "[mqtt.topics.command]\nenabled = true"))
    (content,) = doctor.broker(settings(tmp_path, broker.port))
    broker.kill()

    assert found.grade == "broken"
    assert content.grade == "good"  # a device that takes no commands need not hear them
    assert "does not let this device listen to lookout/hall/command/+: Not authorized" in found.text
