"""What systemd hears: ready once, then a heartbeat for as long as the loop goes round, and not longer."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.data import CameraState, Detections, Scene, Tracks
from agent.device.watchdog import Watchdog
from tests.build import frame
from tests.fakes.mosquitto import free_port, until

ROOT = Path(__file__).parent.parent.parent


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "40000"}

    def heard(self) -> list[str]:
        """Every assignment since the last call."""
        lines: list[str] = []
        while True:
            try:
                lines += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(str(tmp_path / "notify") if request.param == "path" else f"@lookout-test-{os.getpid()}")
    yield systemd
    systemd.close()


def scene(camera: str) -> Scene:
    return Scene(camera, frame(), Detections.empty(), Tracks.empty(), (), {})


def beats(watchdog: Watchdog, systemd: Systemd, seconds: float) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watchdog.beat()
        time.sleep(0.002)
    return systemd.heard().count("WATCHDOG=1")


def test_ready_after_the_first_inference_and_only_once(systemd: Systemd) -> None:
    watchdog = Watchdog(["yard"], systemd.environ)
    watchdog.on_camera(CameraState("yard", True, ""))
    assert "READY=1" not in systemd.heard()

    watchdog.on_scene(scene("yard"))
    watchdog.on_scene(scene("yard"))
    assert systemd.heard().count("READY=1") == 1


def test_ready_and_degraded_once_every_camera_is_known_to_be_away(systemd: Systemd) -> None:
    watchdog = Watchdog(["yard", "door"], systemd.environ)
    watchdog.on_camera(CameraState("yard", False, "no such device"))
    assert "READY=1" not in systemd.heard()

    watchdog.on_camera(CameraState("door", False, "busy"))
    heard = systemd.heard()
    assert "READY=1" in heard
    assert "STATUS=yard offline (no such device), door offline (busy); 0.0 frames/s looked at" in heard


def test_heartbeats_come_with_the_rounds_of_the_loop_and_end_with_them(systemd: Systemd) -> None:
    watchdog = Watchdog(["yard"], systemd.environ)
    watchdog.on_scene(scene("yard"))

    assert beats(watchdog, systemd, 0.3) >= 5  # 40 ms allowed, so one each 10 ms
    time.sleep(0.1)  # the loop hangs
    assert not systemd.heard()


def test_heartbeats_are_spared(systemd: Systemd) -> None:
    watchdog = Watchdog(["yard"], systemd.environ | {"WATCHDOG_USEC": "30000000"})
    for _ in range(1000):
        watchdog.beat()

    assert systemd.heard().count("WATCHDOG=1") == 1


def test_no_heartbeat_where_none_is_asked_for(systemd: Systemd) -> None:
    assert beats(Watchdog(["yard"], {"NOTIFY_SOCKET": systemd.environ["NOTIFY_SOCKET"]}), systemd, 0.05) == 0
    assert beats(Watchdog(["yard"], systemd.environ | {"WATCHDOG_PID": "1"}), systemd, 0.05) == 0


def test_a_status_is_one_line(systemd: Systemd) -> None:
    watchdog = Watchdog(["yard"], systemd.environ)
    watchdog.on_camera(CameraState("yard", False, "two\nlines\nREADY=0"))

    assert all(line.startswith(("READY=1", "STATUS=yard offline (two lines")) for line in systemd.heard())


def test_it_says_when_it_stops(systemd: Systemd) -> None:
    Watchdog(["yard"], systemd.environ).stopping()

    assert systemd.heard()[0] == "STOPPING=1"


@pytest.mark.parametrize("address", ["", "/nonexistent/notify"])
def test_without_systemd_nothing_happens(address: str) -> None:
    watchdog = Watchdog(["yard"], {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"})
    watchdog.on_scene(scene("yard"))
    watchdog.beat()
    watchdog.stopping()

    assert watchdog.ready


def start(folder: Path, data_dir: Path, camera: str, environ: dict[str, str]) -> "subprocess.Popen[str]":
    model = data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite"
    (folder / "agent.toml").write_text(
        f'[model]\nfile = "{model}"\n[mqtt]\nport = {free_port()}\noutbox.durability = "memory"\n{camera}'
    )
    command = [sys.executable, "-m", "agent", "run", str(folder / "agent.toml")]
    environ = {**os.environ, **environ, "STATE_DIRECTORY": str(folder)}
    return subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("camera", "status"),
    [
        ('[cameras.a]\nkind = "synthetic"\n', "a online;"),
        ('[cameras.a]\nkind = "v4l2"\ndevice = 99\n', "a offline (camera /dev/video99: no such device);"),
    ],
    ids=["at work", "degraded"],
)
def test_a_real_agent_without_a_broker(tmp_path: Path, data_dir: Path, camera: str, status: str) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    heard: list[str] = []

    def hears(word: str) -> bool:
        assert agent.poll() is None, agent.communicate()[1]
        heard.extend(systemd.heard())
        return any(line.startswith(word) for line in heard)

    agent = start(tmp_path, data_dir, camera, systemd.environ | {"WATCHDOG_USEC": "2000000"})
    try:
        until(lambda: hears("READY=1"), "READY=1", 60)
        until(lambda: hears(f"STATUS={status}") and heard.count("WATCHDOG=1") > 2, "three heartbeats and a status")
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(30) == 0, agent.communicate()[1]
        assert "STOPPING=1" in systemd.heard()
    finally:
        agent.kill()
        agent.communicate()
        systemd.close()
    assert heard.count("READY=1") == 1
