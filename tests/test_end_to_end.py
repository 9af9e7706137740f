"""The whole agent as a process, against a real broker, heard by a real subscriber."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.fakes.mosquitto import Broker, Listener, free_port, until

SECONDS = "6"


def start(*arguments: object, cwd: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "agent", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=90)
    assert "Traceback" not in err, err
    return process.returncode, out, err


@pytest.fixture(scope="session")
def street(data_dir: Path) -> Path:
    """The clip of pedestrians that `make sim` fetches."""
    return data_dir / "video" / "vtest.avi"


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    return Broker(tmp_path)


def test_sim_with_the_users_own_mosquitto(tmp_path: Path, street: Path, broker: Broker) -> None:
    broker.start()
    listener = Listener(broker.port, "lookout/#")
    process = start(
        "sim", "--source", street, "--broker", f"127.0.0.1:{broker.port}", "--seconds", SECONDS, cwd=tmp_path
    )
    code, out, err = finish(process)
    until(lambda: any(t.endswith("/status") and p == b"offline" for t, p, _ in listener.messages), "a clean goodbye")
    listener.close()
    broker.kill()

    assert code == 0, err
    detections = [json.loads(p) for t, p, _ in listener.messages if t.endswith("/detections")]
    assert len(detections) >= 3, out
    people = [track for message in detections for track in message["tracks"] if track["label"] == "person"]
    assert people
    assert all(0 <= v <= 1 for track in people for v in track["box"])
    assert [m["seq"] for m in detections] == sorted({m["seq"] for m in detections})
    assert detections[0]["size"] == [768, 576]
    started = [json.loads(p) for t, p, _ in listener.messages if t.endswith("/events")]
    assert any(event["kind"] == "track_start" for event in started)
    assert len({event["id"] for event in started}) == len(started)
    statuses = [p for t, p, _ in listener.messages if t.count("/") == 2 and t.endswith("/status")]
    assert statuses[0] == b"online"


def test_sim_brings_its_own_broker_and_says_what_it_did(tmp_path: Path, street: Path) -> None:
    code, out, err = finish(start("sim", "--source", street, "--seconds", SECONDS, cwd=tmp_path))

    assert code == 0, err
    assert "mosquitto_sub" in out + err
    told = re.search(r"subscriber +(\d+) messages", out)
    assert told, out
    assert int(told[1]) > 3
    assert "invoke" in out


def test_sim_at_full_speed_drops_nothing(tmp_path: Path, street: Path) -> None:
    process = start("sim", "--source", street, "--speed", "max", "--seconds", "5", cwd=tmp_path)
    code, out, err = finish(process)

    assert code == 0, err
    assert re.search(r"agent +\d+ frames, (no|0) |, 0 dropped", out), out


def test_sim_that_reaches_no_broker_keeps_trying_and_then_says_so(tmp_path: Path) -> None:
    port = free_port()
    process = start("sim", "--source", "synthetic", "--broker", f"127.0.0.1:{port}", "--seconds", "5", cwd=tmp_path)
    code, out, err = finish(process)

    assert code == 1
    assert re.search(rf"mqtt 127\.0\.0\.1:{port}: .*refused; retrying", err, re.I), err
    assert out.splitlines()[-1].startswith("nothing was received on lookout/"), out


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_run_until_it_is_told_to_stop(tmp_path: Path, street: Path, broker: Broker, how: signal.Signals) -> None:
    broker.start()
    (tmp_path / "agent.toml").write_text(
        f'device = "hall"\n[mqtt]\nport = {broker.port}\n[cameras.door]\nkind = "file"\npath = "{street}"\n'
    )
    listener = Listener(broker.port, "lookout/hall/#")
    process = start("run", "agent.toml", cwd=tmp_path)
    until(lambda: len(listener.of("lookout/hall/door/detections")) > 3, "detections", 60)
    process.send_signal(how)
    code, _, err = finish(process)
    until(lambda: listener.of("lookout/hall/status")[-1:] == [b"offline"], "a clean goodbye")
    listener.close()
    broker.kill()

    assert code == 0, err
    assert b"online" in listener.of("lookout/hall/door/status")


def test_the_will_speaks_for_a_killed_agent(tmp_path: Path, street: Path, broker: Broker) -> None:
    broker.start()
    (tmp_path / "agent.toml").write_text(
        f'device = "hall"\n[mqtt]\nport = {broker.port}\n[cameras.door]\nkind = "file"\npath = "{street}"\n'
    )
    listener = Listener(broker.port, "lookout/hall/status")
    process = start("run", "agent.toml", cwd=tmp_path)
    until(lambda: listener.of("lookout/hall/status") == [b"online"], "the birth", 60)
    process.kill()
    process.communicate()
    until(lambda: listener.of("lookout/hall/status") == [b"online", b"offline"], "the will", 60)
    listener.close()
    broker.kill()


def test_replay_writes_the_same_bytes_twice(tmp_path: Path, street: Path) -> None:
    reader = cv2.VideoCapture(str(street))
    writer = cv2.VideoWriter(str(tmp_path / "short.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (768, 576))
    for _ in range(40):
        writer.write(reader.read()[1])
    writer.release()
    (tmp_path / "agent.toml").write_text('[cameras.street]\nkind = "file"\npath = "short.avi"\n')
    for run in ("1", "2"):
        code, out, err = finish(
            start("replay", "agent.toml", "--events", f"e{run}.jsonl", "--mot", f"m{run}.txt", cwd=tmp_path)
        )
        assert code == 0, err
        assert out.startswith("40 frames, ")

    assert (tmp_path / "m1.txt").read_bytes() == (tmp_path / "m2.txt").read_bytes() != b""
    assert (tmp_path / "e1.jsonl").read_bytes() == (tmp_path / "e2.jsonl").read_bytes() != b""
    assert all(json.loads(line)["camera"] == "street" for line in (tmp_path / "e1.jsonl").read_text().splitlines())
    rows = [line.split(",") for line in (tmp_path / "m1.txt").read_text().splitlines()]
    assert all(len(row) == 10 and 1 <= int(row[0]) <= 40 and float(row[4]) > 0 for row in rows)
