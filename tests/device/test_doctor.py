"""What the doctor finds in machines that are well and in machines that are not."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import config
from agent.capture.cameras import CameraError, synthetic
from agent.data import Frame
from agent.device import doctor
from agent.device.doctor import Finding
from agent.device.health import Board
from agent.modelfile import ModelError


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.about: finding for finding in findings}


def throttle(pi: Path, bits: str) -> None:
    folder = pi / "sys" / "devices" / "platform" / "soc" / "soc:firmware"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "get_throttled").write_text(bits)


def test_a_healthy_pi(pi: Path, board: Board) -> None:
    throttle(pi, "0")
    (pi / "run" / "systemd" / "timesync").mkdir(parents=True)
    (pi / "run" / "systemd" / "timesync" / "synchronized").touch()
    found = by_name(doctor.board(board))

    assert {finding.grade for finding in found.values()} == {"good"}
    assert found["power"].text == "Raspberry Pi 4 Model B Rev 1.4: no under-voltage, no throttling"
    assert found["heat"].text == "62 °C"


@pytest.mark.parametrize(
    ("bits", "grade", "words"),
    [
        ("50001", "broken", "under-voltage now"),
        ("50000", "poor", "since the start there was under-voltage, throttled"),
    ],
)
def test_a_weak_supply_is_told(pi: Path, board: Board, bits: str, grade: str, words: str) -> None:
    throttle(pi, bits)
    power = by_name(doctor.board(board))["power"]

    assert power.grade == grade
    assert words in power.text
    assert "supply" in power.cure


def test_heat_and_memory(pi: Path, board: Board) -> None:
    (pi / "sys" / "class" / "thermal" / "thermal_zone1" / "temp").write_text("82100\n")
    (pi / "proc" / "meminfo").write_text("MemTotal: 500000 kB\nMemAvailable: 60000 kB\n")
    found = by_name(doctor.board(board))

    assert (found["heat"].grade, found["heat"].text) == ("poor", "82 °C")
    assert (found["memory"].grade, found["memory"].text) == ("poor", "59 MB free")


def test_a_camera_that_works() -> None:
    found = doctor.camera("yard", config.camera("synthetic", size=(320, 192)))

    assert found == Finding("camera yard", "good", "synthetic, 320x192")


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        ("camera 0: cannot be opened (busy in another program: x)", "sudo systemctl stop lookout"),
        ("camera: no picamera2; sudo apt install it", "sudo apt install it"),
    ],
)
def test_a_camera_that_does_not(monkeypatch: pytest.MonkeyPatch, error: str, cure: str) -> None:
    def frames(_: object) -> Iterator[Frame]:
        raise CameraError(error)
        yield

    monkeypatch.setattr(synthetic, "frames", frames)
    found = doctor.camera("yard", config.camera("synthetic"))

    assert found.grade == "broken"
    assert cure in found.cure


def test_a_camera_that_hangs_does_not_hang_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def frames(_: object) -> Iterator[Frame]:
        release.wait(30)
        yield from ()

    monkeypatch.setattr(synthetic, "frames", frames)
    monkeypatch.setattr(doctor, "_FRAME_S", 0.2)
    assert doctor.camera("yard", config.camera("synthetic")).text == "no frame within 0.2 s"
    release.set()


def test_every_camera_there_is_is_listed_with_its_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    webcam = ("/dev/video0", "A camera: MJPG 640x480 1280x720")
    monkeypatch.setattr(doctor.video, "v4l2", lambda: iter([webcam]))
    monkeypatch.setattr(doctor.video, "picamera", lambda: iter([("0", "imx708: 2304x1296")]))

    assert list(doctor.connected({"rtsp"})) == [Finding("found /dev/video0", "good", webcam[1])]
    assert Finding("found camera 0", "good", "imx708: 2304x1296") in doctor.connected({"picamera"})
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert [found.grade for found in doctor.connected({"picamera"}) if found.about == "found camera"] == ["poor"]


def test_a_model_that_is_not_what_its_card_says() -> None:
    def opened() -> None:
        raise ModelError("model x.tflite: sha256 is 1234.., its card says 5678..; fetch or convert it again")

    found = doctor.model(opened)  # type: ignore[arg-type]

    assert found.grade == "broken"
    assert found.cure == "fetch or convert it again"


def test_a_disk_that_is_full_or_failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fs" / "ext4" / "mmcblk0p2").mkdir(parents=True)
    errors = tmp_path / "fs" / "ext4" / "mmcblk0p2" / "errors_count"
    errors.write_text("0\n")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 900 * 2**20}))
    assert [f.grade for f in doctor.disk(tmp_path / "not" / "yet", tmp_path)] == ["good"]

    errors.write_text("3\n")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10 * 2**20}))
    full, failing = doctor.disk(tmp_path, tmp_path)
    assert full.grade == "broken"
    assert failing.text == "mmcblk0p2 counted 3 file system errors"


def test_nothing_of_it_needs_the_sim_extra() -> None:
    code = "import sys; sys.modules['iotcore'] = None; import agent.device.doctor"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
