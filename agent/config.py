"""agent.toml -> typed, frozen structs. What a key means and what it may be stands in the structs below.

Errors name file, line and key: `agent.toml:16: cameras.yard.fps must be >= 0.1, not 0`. A key that is not
known is an error too, with the nearest known one. Sections of plugins (cameras.NAME, mqtt.topics.NAME)
are typed by the plugin's own `Options`.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent import plugins, toml
from agent.toml import ConfigError, Reader

Positive = Annotated[float, Meta(gt=0)]
Seconds = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
_ID = "1 to 64 letters, digits, '-' and '_'"  # it goes into topics: no "/", "+", "#"
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description=_ID)]
DEFAULT_MODEL = "ssdlite_mobilenet_v2_coco_int8.tflite"


def shipped(model: str) -> Path:
    """Where a shipped model lies: models/ of a source tree, else share/lookout/models/ of the environment."""
    tree = Path(__file__).parent.parent / "models" / model
    return tree if tree.exists() else Path(sys.prefix) / "share" / "lookout" / "models" / model


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """[model]: the file that `python -m convert` wrote, or a foreign .tflite."""

    file: Path = msgspec.field(default_factory=lambda: shipped(DEFAULT_MODEL))
    labels_file: Path | None = None  # for files of other makers: one label a line
    labels: tuple[str, ...] = ()  # report only these; empty = all the model knows
    confidence: Fraction | None = None  # None = what the model's card recommends
    backend: str = "tflite"  # a file in agent/detect/backends/
    threads: Annotated[int, Meta(ge=0, le=64)] = 0  # 0 = cores - 1, at most 3


class Tracker(Struct, frozen=True, forbid_unknown_fields=True):
    """[tracker]: when a detection becomes an object, and when an object is gone."""


class Tls(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.tls]: always verified, host name included."""

    enabled: bool = False
    ca_file: Path | None = None  # who signs the broker's certificate; None = whom the system trusts
    cert_file: Path | None = None  # this device's own certificate
    key_file: Path | None = None  # its key, mode 600; None = in cert_file


class Mqtt(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt]: where to publish."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "lookout"
    username: str | None = None
    password_file: Path | None = None  # its first line; a password never stands in agent.toml
    keepalive: Annotated[int, Meta(ge=5, le=600)] = 15
    tls: Tls = Tls()
    topics: dict[str, Any] = {}  # name -> Options of agent/publish/topics/<name>.py


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. `cameras` maps a name to the Options of its kind."""

    cameras: dict[Id, Any]
    device: Id = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().split(".")[0]) or "lookout"
    model: Model = Model()
    tracker: Tracker = Tracker()
    mqtt: Mqtt = Mqtt()


class Camera(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME]: what every kind of camera has beside its own options."""

    kind: str
    options: Any
    stale_s: Positive = 10.0  # silence after which the camera counts as lost and is reopened
    fps: Annotated[float, Meta(gt=0, le=240)] | None = None  # at most this many frames a second are looked at


def load(path: Path) -> Config:
    """Read and check a config file. Raises ConfigError with file, line and key."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(
            f"config {path}: {error.strerror}; `make sim` needs none, systemd/agent.toml is a start"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"config {path}: not UTF-8 text (byte {error.start})") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """The same from text; relative paths in it are taken from the config's folder."""
    return _Reader(path, text).config(toml.table(text, path))


def camera(kind: str, *, fps: float | None = None, **options: Any) -> Camera:
    """A camera made in code, as a [cameras.NAME] section would make it."""
    return Camera(kind, plugins.get("capture/cameras", kind).Options(**options), fps=fps)


def complaint(path: Path | None, where: tuple[str, ...], reason: str) -> ConfigError:
    """An error about a key that only a later room could find, worded as the reader's own; path None: no file."""
    if path is None:
        return ConfigError(f"{'.'.join(where)}: {reason}")
    return _Reader(path, path.read_text("utf-8")).error(where, f": {reason}")


class _Reader(Reader):
    """Adds what plugins bring: cameras.NAME and mqtt.topics.NAME are typed by the file that their kind names."""

    def config(self, raw: dict[str, Any]) -> Config:
        sections = dict(raw)
        cameras = sections.get("cameras")
        if not isinstance(cameras, dict) or not cameras:
            raise self.error(("cameras",), "has none; add a [cameras.NAME] section with a kind")
        sections["cameras"] = {name: self.camera(("cameras", name), table) for name, table in cameras.items()}
        config: Config = self.struct(Config, sections, ())
        topics = {
            name: self.plugin("publish/topics", name, table, ("mqtt", "topics", name))
            for name, table in config.mqtt.topics.items()
        }
        return msgspec.structs.replace(config, mqtt=msgspec.structs.replace(config.mqtt, topics=topics))

    def camera(self, where: tuple[str, ...], table: Any) -> Camera:
        self.value(Id, where[-1], where)
        if not isinstance(table, dict):
            raise self.error(where, "must be a table: [cameras.NAME]")
        if "kind" not in table:
            raise self.error((*where, "kind"), f"is missing; there are: {', '.join(plugins.names('capture/cameras'))}")
        shared = {k: v for k, v in table.items() if k in ("kind", "stale_s", "fps")}
        own = {k: v for k, v in table.items() if k not in shared}
        shared["options"] = self.plugin("capture/cameras", table["kind"], own, where, shared)
        camera: Camera = self.struct(Camera, shared, where)
        return camera

    def plugin(self, folder: str, kind: Any, table: Any, where: tuple[str, ...], also_known: Iterable[str] = ()) -> Any:
        try:
            module = plugins.get(folder, str(kind))
        except KeyError as error:
            raise self.error((*where, "kind") if "kind" in also_known else where[:-1], error.args[0]) from error
        return self.struct(module.Options, table, where, also_known)
