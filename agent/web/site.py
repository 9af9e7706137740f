"""The sink that the pipeline holds, and the page's own thread with its event loop."""

# ruff: noqa: PLC0415  the extra's packages are not imported where the page is off
from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import config, modelfile, sections
from agent.data import CameraState, LookoutError, Scene
from agent.detect.model import Model
from agent.device.health import Health
from agent.publish import Stats, payloads
from agent.publish.clock import Clock
from agent.web.album import Album
from agent.web.now import Now, Running

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)
_ANSWER_S = 60.0  # for the loop to take a config over
_CLOSE_S = 3.0
_CLIENTS = 64  # connections at a time; a browser takes half a dozen
Reload = Callable[[Callable[[str], None]], None]  # begins to take the config over; later tells "" or why not


class Site:
    """The live page; nothing in it but close() waits. Sink of the pipeline."""

    def __init__(self, settings: config.Config, model: Model, path: Path, reload: Reload) -> None:
        """Listens already; raises LookoutError: an address that is not free, a password file that is none."""
        from agent.web.guard import Guard
        from agent.web.server import routes

        options = settings.web
        self._album = _album(settings)
        self._now, self._reload = Now(_running(settings, model), self._album), reload
        self._password = _password(options)
        self._socket = _listening(options)
        self.url = _url(options.host, self._socket.getsockname()[1])
        self._guarded = Guard(routes(self._now, path, self._taken_over), self._password, options.names)
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def start(self) -> None:
        """Returns at once."""
        import uvicorn

        options: dict[str, Any] = {"loop": "asyncio", "http": "h11", "ws": "none", "lifespan": "off"}
        options |= {
            "log_config": None,
            "log_level": "warning",
            "access_log": False,
            "server_header": False,
            "proxy_headers": False,
        }
        options |= {"limit_concurrency": _CLIENTS, "timeout_graceful_shutdown": 1}
        self._server = uvicorn.Server(uvicorn.Config(self._guarded, **options))
        self._thread.start()
        if self._album:
            self._album.start()
        log.info("live page: %s", self.url)

    def close(self) -> None:
        """No more answers."""
        if self._server:
            self._server.should_exit = True
            self._thread.join(_CLOSE_S)
        self._socket.close()
        if self._album:
            self._album.close()

    def on_scene(self, scene: Scene) -> None:
        """A frame was looked at."""
        self._now.look(scene)

    def on_camera(self, state: CameraState) -> None:
        """A camera came or went."""
        self._now.cameras[state.camera] = state

    def on_health(self, health: Health, stats: Stats) -> None:
        """The board was looked at."""
        self._now.told(health, stats)

    def take_over(self, settings: config.Config, model: Model) -> None:
        """The agent runs on another config or model."""
        self._now.take_over(_running(settings, model))

    def _serve(self) -> None:
        assert self._server
        try:
            self._server.run(sockets=[self._socket])
        except Exception:  # the agent goes on without its page
            log.exception("live page: unexpected; it is gone until the agent is restarted")

    def _taken_over(self) -> str:
        """The config is read again; waits for "" or why not."""
        told, answers = threading.Event(), [""]

        def answer(refusal: str) -> None:
            answers[0] = refusal
            told.set()

        self._reload(answer)
        return answers[0] if told.wait(_ANSWER_S) else f"the agent did not answer in {_ANSWER_S:.0f} s"


def opened(settings: config.Config, model: Model, path: Path, reload: Reload) -> Site | None:
    """The page that the config asks for; where it cannot be, one line says why and the agent goes on without."""
    if not settings.web.enabled:
        return None
    try:
        return Site(settings, model, path, reload)
    except ModuleNotFoundError as error:
        trouble = f"{error.name} is not installed; pip install 'lookout-agent[web]'"
    except LookoutError as error:
        trouble = str(error)
    log.error("no live page: %s", trouble)
    return None


def _running(settings: config.Config, model: Model) -> Running:
    report = modelfile.read(model.path).report
    return Running(settings, model.card, payloads.Model(model.name, model.sha256), report)


def _album(settings: config.Config) -> Album | None:
    options = settings.web.snapshots
    return Album(options, settings.state_dir / "snapshots", Clock()) if options.enabled else None


def _password(options: sections.Web) -> Any:
    if options.password_file is None:
        return None
    from agent.web.password import Password

    return Password(options.password_file)


def _listening(options: sections.Web) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)  # a slow client's backlog: a picture or two
        made.bind((options.host, options.port))
        made.listen(64)
    except OSError as error:
        made.close()
        raise LookoutError(f"web: cannot listen on {options.host}:{options.port}: {error.strerror}") from error
    return made


def _url(host: str, port: int) -> str:
    shown = socket.gethostname() if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{shown}:{port}/"
