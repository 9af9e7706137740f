"""The agent as a process beside a real broker: started, told, measured, harmed, ended."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.fakes.mosquitto import RUNNING, Broker, Listener, until

ROOT = Path(__file__).parent.parent.parent
HEAD = """
device = "pi"
state_dir = "{folder}/state"
[mqtt]
port = {port}
retry_s = [0.1, 0.5]
[mqtt.topics.command]
enabled = true
verbs = ["snapshot", "set", "reset_counts", "reload", "update_model"]
models_dir = "incoming"
[mqtt.topics.homeassistant]
[mqtt.topics.health]
every_s = 2
"""
YARD = '[cameras.yard]\nkind = "synthetic"\n'
START_S = 60.0  # a busy machine's patience


class Process:
    """A Python program of ours, from the source tree, that can be killed and started again."""

    def __init__(self, log: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        self._log, self._arguments, self._environ = log, arguments, {**os.environ, **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, stderr: int | None = None) -> Process:
        """`stderr`: a file of the caller's instead of the log."""
        command = [sys.executable, *self._arguments]
        with self._log.open("ab") as log:
            err = log if stderr is None else stderr
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environ, stdout=log, stderr=err)
        RUNNING.add(self)
        return self

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, number: int = signal.SIGKILL) -> int:
        """Its exit code, once it has ended; 0 for one that does not run."""
        code = 0
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            code = self._process.wait(30)
            self._process = None
        RUNNING.discard(self)
        return code

    def ended(self, timeout: float = 30.0) -> int:
        """Wait for its own end; its exit code."""
        assert self._process
        code = self._process.wait(timeout)
        self._process = None
        RUNNING.discard(self)
        return code

    def signal(self, number: int) -> None:
        """It lives on."""
        assert self._process
        self._process.send_signal(number)

    def limit(self, what: int, most: int) -> None:
        """A soft limit of the resource module's, from now on."""
        resource.prlimit(self.pid, what, (most, resource.prlimit(self.pid, what)[1]))

    def log(self) -> str:
        return self._log.read_text()

    @property
    def rss_mb(self) -> float:
        return self._status("VmRSS") / 1024

    @property
    def threads(self) -> int:
        return self._status("Threads")

    @property
    def files(self) -> int:
        """Open file descriptors."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU so far, in user and kernel."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, key: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(f"{key}:")))


class Running:
    """An agent that can be told things, and its broker."""

    def __init__(
        self,
        folder: Path,
        text: str,
        program: tuple[str, ...] = ("-m", "agent"),
        *,
        head: str = HEAD,
        broker: Broker | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Starts both; `text` follows `head` in its config."""
        self.folder, self.broker, self._head = folder, (broker or Broker(folder)).start(), head
        self.heard = Listener(self.broker.port, "lookout/#", "homeassistant/#")
        self.write(text)
        arguments = (*program, "--verbose", "run", str(folder / "agent.toml"))
        self.process = Process(folder / "agent.log", *arguments, environ=environ).start()

    def online(self, camera: str = "yard") -> Running:
        """Wait until a camera is there."""
        self.wait(lambda: self.of(f"{camera}/status")[-1:] == [b"online"], f"camera {camera}")
        return self

    def write(self, text: str) -> None:
        head = self._head.format(folder=self.folder, port=self.broker.port)
        (self.folder / "agent.toml").write_text(head + text)

    def of(self, topic: str) -> list[bytes]:
        return self.heard.of(f"lookout/pi/{topic}")

    def update(self, data: bytes) -> dict[str, Any]:
        """Offer it a model by its folder and MQTT; the answer."""
        (self.folder / "incoming").mkdir()
        (self.folder / "incoming" / "mine.tflite").write_bytes(data)
        return self.ask("update_model", file="mine.tflite", sha256=hashlib.sha256(data).hexdigest())

    def events(self, kind: str, topic: str = "events") -> list[dict[str, Any]]:
        return [event for event in map(json.loads, self.of(topic)) if event["kind"] == kind]

    def health(self) -> dict[str, Any]:
        """What it last said of itself."""
        self.wait(lambda: self.of("health"), "health")
        told: dict[str, Any] = json.loads(self.of("health")[-1])
        return told

    def wait(self, condition: Callable[[], object], what: str, timeout: float = START_S) -> None:
        def lived_to_see() -> object:
            assert self.process.alive(), self.process.log()
            return condition()

        until(lived_to_see, what, timeout)

    def frames(self, camera: str = "yard") -> None:
        """Wait until it has looked at another frame: its picture is another than now."""
        before = now = self.snapshot(camera)
        for pause in (0.2, *[1.1] * 30):  # sooner would be too many commands
            time.sleep(pause)
            if (now := self.snapshot(camera)) not in (None, before):
                return
        pytest.fail(f"no other picture of {camera} than {now and len(now)} bytes")

    def snapshot(self, camera: str) -> bytes | None:
        """Its newest picture, a JPEG; None: it has none, or was asked too often."""
        return self.of(f"{camera}/snapshot")[-1] if self.ask("snapshot", camera=camera)["ok"] else None

    def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        """Its answer."""
        before = len(self.of(f"command/{verb}/result"))
        self.heard.client.publish(f"lookout/pi/command/{verb}", json.dumps(arguments), qos=1)
        self.wait(lambda: len(self.of(f"command/{verb}/result")) > before, f"the answer to {verb}")
        answer: dict[str, Any] = json.loads(self.of(f"command/{verb}/result")[-1])
        return answer

    def picture(self) -> Any:
        """The newest snapshot, (H, W, 3) uint8 BGR."""
        self.wait(lambda: self.of("yard/snapshot"), "a snapshot")
        return cv2.imdecode(np.frombuffer(self.of("yard/snapshot")[-1], np.uint8), cv2.IMREAD_COLOR)

    def retained(self) -> dict[str, bytes]:
        """What a subscriber finds that comes now."""
        late = Listener(self.broker.port, "lookout/#", "homeassistant/#")
        time.sleep(0.5)
        late.close()
        return {topic: payload for topic, payload, retained in late.messages if retained}

    def close(self) -> None:
        self.process.stop(signal.SIGTERM)
        self.heard.close()
        self.broker.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """start(text, *program, ...): an agent whose camera `yard` is there, but for `wait=False`."""
    made: list[Running] = []

    def start(text: str, *program: str, wait: bool = True, **options: Any) -> Running:
        made.append(Running(tmp_path, text, *([program] if program else []), **options))
        return made[-1].online() if wait else made[-1]

    yield start
    for one in made:
        one.close()
