"""A page that is really served, without an agent behind it, and what a browser would send."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from agent import config
from agent.data import CameraState, Scene
from agent.modelfile import Card, Input
from agent.web.site import Site
from tests.fakes import scenes

TOML = """# The yard's camera.
[cameras.yard]
kind = "synthetic"   # no camera needed

[cameras.yard.zones.door]
polygon = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9]]  # as measured
enter_s = 2.0        # the mat is wide

[model]
labels = []

[web]
enabled = true
port = 0
"""
PASSWORD = "correct horse battery"


class Served:
    """A Site on a port of its own."""

    def __init__(
        self, folder: Path, extra: str = "", refusal: str = "", toml: str = TOML, camera: str = "yard"
    ) -> None:
        self.path = folder / "agent.toml"
        self.path.write_text(toml + extra)
        self.reloads: list[str] = []
        self._open = contextlib.ExitStack()
        card = Card("detect", "ssd", scenes.LABELS, Input((300, 300)))
        self.model: Any = SimpleNamespace(
            path=config.shipped(config.DEFAULT_MODEL), name="ssd", sha256="ab" * 32, card=card
        )

        def reload(tell: Callable[[str], None]) -> None:
            self.reloads.append(self.path.read_text())
            if not refusal:
                self.settings = config.load(self.path)
                self.site.take_over(self.settings, self.model)
            tell(refusal)

        self.settings = config.load(self.path)
        self.site = Site(self.settings, self.model, self.path, reload)
        self.port = int(self.site.url.rstrip("/").rpartition(":")[2])
        self.site.start()
        self.site.on_camera(CameraState(camera, True, ""))

    def ask(
        self, path: str, method: str = "GET", body: object = None, password: str = "", **headers: str
    ) -> http.client.HTTPResponse:
        """The answer's head; `headers` with _ for -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if password:
            sent["Authorization"] = "Basic " + base64.b64encode(f"me:{password}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self._open.callback(connection.close)
        connection.request(method, path, None if body is None else msgspec.json.encode(body), sent)
        return self._open.enter_context(connection.getresponse())

    def status(self, path: str, method: str = "GET", **more: Any) -> int:
        answer = self.ask(path, method, **more)
        answer.close()
        return answer.status

    def json(self, path: str, body: object = None) -> Any:
        """As the page itself asks."""
        origin = {"Origin": f"http://127.0.0.1:{self.port}"} if body is not None else {}
        return msgspec.json.decode(self.ask(path, "POST" if body is not None else "GET", body, **origin).read())

    def stalled(self, path: str) -> socket.socket:
        """A client that asks and reads nothing."""
        client = self._open.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self.port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return client

    def close(self) -> None:
        self._open.close()
        self.site.close()


def noisy(seq: int, **more: Any) -> Scene:
    """A scene whose picture does not compress."""
    made = scenes.scene(1, seq=seq, t=time.monotonic(), **more)
    image = np.random.default_rng(seq).integers(0, 255, (480, 640, 3), np.uint8)
    return replace(made, frame=replace(made.frame, image=image, seq=seq))
