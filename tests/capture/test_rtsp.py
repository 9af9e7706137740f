"""Real RTSP by GStreamer's server: decoded in RGB, and told when the server dies, hangs and comes back."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.capture import supervisor as module
from agent.capture.cameras import rtsp
from tests.capture.test_faults import Watched

SERVER = Path(__file__).parent.parent / "fakes" / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"  # gi comes with the system's
NEEDS = "apt install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base -good -ugly python3-gi"


class Server:
    """One server process on a port of its own, which it keeps when it is started again."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        command = [SYSTEM_PYTHON, str(SERVER), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module", autouse=True)
def _gstreamer() -> None:
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no GStreamer RTSP server: {NEEDS}")
        pytest.skip(f"no GStreamer RTSP server: {NEEDS}")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "_PAUSES_S", (0.05, 0.1, 0.2))
    server = Server()
    yield server
    server.kill()


def watch(server: Server, stream: str) -> Watched:
    options = rtsp.Options(url=f"rtsp://127.0.0.1:{server.port}/{stream}", open_timeout_s=10, read_timeout_s=2)
    return Watched(lambda: rtsp.frames(options), stale_s=5)


@pytest.mark.parametrize("stream", ["h264", "jpeg"])
def test_a_red_picture_is_red(server: Server, stream: str) -> None:
    watched = watch(server, stream)
    try:
        watched.gets_frames()
        frame = watched.frames[-1]
        assert frame.size == (320, 192)
        assert frame.image[96, 160].tolist() == pytest.approx([255, 0, 0], abs=24)  # jpegenc keeps limited range
        assert [f.t for f in watched.frames] == sorted(f.t for f in watched.frames)
    finally:
        watched.supervisor.stop()


def test_a_server_that_dies_and_one_that_hangs_are_told_and_come_back(server: Server) -> None:
    watched = watch(server, "h264")
    try:
        watched.gets_frames()
        server.kill()
        watched.goes(online=False)
        server.start()
        watched.goes(online=True)
        watched.gets_frames()

        server.process.send_signal(signal.SIGSTOP)  # the connection stays, nothing comes
        watched.goes(online=False)
        server.process.send_signal(signal.SIGCONT)
        watched.goes(online=True)
        watched.gets_frames()
        assert [s.online for s in watched.states] == [True, False, True, False, True]
    finally:
        server.process.send_signal(signal.SIGCONT)
        watched.supervisor.stop()
