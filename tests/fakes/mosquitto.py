"""A real mosquitto on a free port that can be killed, frozen and brought back; and a client that listens to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import paho.mqtt.client as paho
import pytest

PATIENCE_S = 20.0


def program() -> str:
    """Where mosquitto is; skips the test where it is not installed."""
    found = shutil.which("mosquitto", path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
    if not found:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], what: str, timeout: float = PATIENCE_S) -> None:
    """Wait for something that must come; fails the test, naming it, if it does not."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout:.0f} s in vain for: {what}")
        time.sleep(0.01)


def deaf(folder: Path) -> str:
    """Lines of a broker's config that let everybody send, and nobody subscribe."""
    plugin = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), None)
    if plugin is None:
        pytest.skip("mosquitto has no dynamic security plugin here")
    access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    (folder / "security.json").write_text(json.dumps({"defaultACLAccess": access}))
    return (
        f"per_listener_settings false\nlistener {{port}} 127.0.0.1\nallow_anonymous true\n"
        f"plugin {plugin}\nplugin_opt_config_file {folder}/security.json"
    )


class Stoppable(Protocol):
    """A process that a test has started."""

    def kill(self) -> None: ...


RUNNING: set[Stoppable] = set()  # what a failing test leaves behind, a fixture ends


class Broker:
    """One mosquitto; lines of `extra` go into its config. It keeps its store across kills if `durable`."""

    def __init__(self, folder: Path, extra: str = "", durable: bool = False, port: int | None = None) -> None:
        self.port = port or free_port()
        self._folder = folder
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true"] if "listener" not in extra else []
        if os.geteuid() == 0 and "user " not in extra:
            lines.append("user root")  # else it becomes "mosquitto", which may not write into `folder`
        if durable:  # what mosquitto needs to keep, but for an instant, what it has acknowledged
            lines += ["persistence true", f"persistence_location {folder}/", "autosave_on_changes true"]
            lines += ["autosave_interval 1", "max_queued_messages 0", "max_inflight_messages 0"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join([*lines, extra.format(port=self.port), ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Broker:
        """Returns when it listens."""
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([program(), "-c", str(self._config)], stdout=log, stderr=log)
        RUNNING.add(self)
        until(self._listens, "mosquitto to listen")
        return self

    def _listens(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait()
            self._process = None
        RUNNING.discard(self)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)


class Listener:
    """A subscriber that keeps everything: `messages` as (topic, payload, retained), in order of arrival."""

    def __init__(self, port: int, *topics: str, client_id: str = "") -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._topics = topics
        self._subscribed = threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id, clean_session=not client_id)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda _c, _u, m: self.messages.append((m.topic, m.payload, m.retain))
        self.client.reconnect_delay_set(0.05, 0.2)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._subscribed.wait(PATIENCE_S)

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    def of(self, topic: str) -> list[bytes]:
        """Payloads that came on one topic."""
        return [payload for name, payload, _ in list(self.messages) if name == topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
