"""agent.toml -> typed, frozen structs. What a key means and what it may be stands in the structs below.

Errors name file, line and key: `agent.toml:16: cameras.yard.fps must be >= 0.1, not 0`; a key that is not known is
one too. Sections of plugins (cameras.NAME, mqtt.topics.NAME) are typed by the plugin's own `Options`.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import zoneinfo
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from agent import plugins, toml
from agent.areas import Line, Point, Zone
from agent.sections import Second, Updates, Web
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


def state_folder() -> Path:
    """Where what must survive a restart is kept: systemd's StateDirectory=, else the user's own state folder."""
    if systemd := os.environ.get("STATE_DIRECTORY"):
        return Path(systemd.split(":")[0])
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "lookout"


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """[model]: the file that `python -m convert` wrote, or a foreign .tflite."""

    file: Path = msgspec.field(default_factory=lambda: shipped(DEFAULT_MODEL))
    labels_file: Path | None = None  # for files of other makers: one label a line
    labels: tuple[str, ...] = ()  # report only these; empty = all the model knows
    confidence: Fraction | None = None  # from here on an object is believed; None = what the model's card recommends
    backend: str = "tflite"  # a file in agent/detect/backends/
    threads: Annotated[int, Meta(ge=0, le=64)] = 0  # 0 = cores - 1, at most 3


class Detect(Struct, frozen=True, forbid_unknown_fields=True):
    """[detect]: where in a picture the model looks, and how often."""

    mode: Literal["regions", "full"] = "regions"  # crops where something may have changed, or every whole frame
    invokes_per_second: Positive = 30.0  # at most, for all cameras together
    invokes_per_frame: Annotated[int, Meta(ge=1, le=16)] = 3  # at most
    sweep_s: Annotated[float, Meta(ge=1)] = 120.0  # every place is looked at so often, whether anything moves or not
    motion_threshold: Annotated[float, Meta(ge=1, le=128)] = 10.0  # grey levels of 255 that are more than noise


class Tracker(Struct, frozen=True, forbid_unknown_fields=True):
    """[tracker]: when a detection becomes an object, and when an object is gone."""

    high: Fraction | None = None  # a detection from here on may found a track; None = the model's confidence
    low: Fraction = 0.1  # from here to `high` it may only keep one going
    confirm: Fraction | None = None  # median score at which a track is believed and told; None = as `high`
    tentative_s: Seconds = 0.35  # looked for in vain this long, a track not yet believed is dropped
    missed_s: Seconds = 2.0  # and a believed one ends
    unseen_s: Seconds = 30.0  # without a detection this long every track ends, looked for or not
    coast_s: Seconds = 0.0  # a track looked for in vain is still told for so long, where it is expected
    max_tracks: Annotated[int, Meta(ge=1, le=4096)] = 256
    alike: tuple[tuple[str, ...], ...] = (  # labels that a detector takes for one another
        ("car", "truck", "bus", "train"),
        ("bicycle", "motorcycle"),
        ("cat", "dog", "horse", "sheep", "cow", "bear"),
    )


class Thermal(Struct, frozen=True, forbid_unknown_fields=True):
    """[thermal]: when the agent looks less often, at less and with fewer threads to keep the board cool."""

    enabled: bool = True
    slow_c: Annotated[float, Meta(ge=30, le=110)] = 77.0  # °C; from here on slower, step by step
    cool_c: Annotated[float, Meta(ge=20, le=105)] = 70.0  # °C; down here faster again
    settle_s: Annotated[float, Meta(ge=1)] = 30.0  # after each step, for it to show in the temperature

    def __post_init__(self) -> None:
        if self.cool_c >= self.slow_c:
            raise ValueError(f"cool_c must be below slow_c, {self.cool_c:g} is not below {self.slow_c:g}")


class Tls(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.tls]: always verified, host name included."""

    enabled: bool = False
    ca_file: Path | None = None  # who signs the broker's certificate; None = whom the system trusts
    cert_file: Path | None = None  # this device's own certificate
    key_file: Path | None = None  # its key, mode 600; None = in cert_file


class Outbox(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.outbox]: where events wait until the broker has them."""

    durability: Literal["disk", "memory"] = "disk"  # memory spares the card and loses what waits in a crash
    max_rows: Annotated[int, Meta(ge=100, le=1_000_000)] = 50_000
    max_mb: Annotated[float, Meta(ge=0.1, le=10_000)] = 64.0
    expiry_s: Annotated[int, Meta(ge=0)] = 604_800  # an event that waited so long is given up; 0 = never


class Mqtt(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt]: where to publish."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "lookout"
    username: str | None = None
    password_file: Path | None = None  # its first line; a password never stands in agent.toml
    keepalive: Annotated[int, Meta(ge=5, le=600)] = 15  # s; a dead line is noticed after twice as long
    retry_s: tuple[Positive, Positive] = (1.0, 30.0)  # first and longest wait between two attempts to connect
    tls: Tls = Tls()
    outbox: Outbox = Outbox()
    topics: dict[str, Any] = {}  # name -> Options of agent/publish/topics/<name>.py


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. `cameras` maps a name to the Options of its kind."""

    cameras: dict[Id, Any]
    device: Id = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().split(".")[0]) or "lookout"
    state_dir: Path = msgspec.field(default_factory=state_folder)  # for what must survive a restart
    time_zone: str | None = None  # as "Europe/Berlin": whose hours schedules mean; None = the machine's own
    model: Model = Model()
    detect: Detect = Detect()
    tracker: Tracker = Tracker()
    thermal: Thermal = Thermal()
    mqtt: Mqtt = Mqtt()
    web: Web = Web()
    second: dict[Id, Second] = {}  # further looks at what was found, by a second model
    updates: Updates = Updates()


class Anomaly(Struct, frozen=True):
    """[cameras.NAME.anomalies.NAME2]: a file in agent/anomalies/ and its own options."""

    kind: str
    options: Any


class Camera(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME]: what every kind of camera has beside its own options."""

    kind: str
    options: Any
    stale_s: Positive = 10.0  # silence after which the camera counts as lost and is reopened
    fps: Annotated[float, Meta(gt=0, le=240)] | None = None  # at most this many frames a second are looked at
    enhance: bool = False  # while it is dark: noise is averaged away over several frames, for all that look at them
    zones: dict[Id, Zone] = {}  # agent/areas.py says how they and lines are drawn
    lines: dict[Id, Line] = {}
    anomalies: dict[Id, Anomaly] = {}  # what is watched for
    motion_masks: tuple[tuple[Point, ...], ...] = ()  # polygons in which no movement counts; they hide nothing
    privacy_masks: tuple[tuple[Point, ...], ...] = ()  # polygons painted black as a frame comes in, for everybody
    blur: tuple[str, ...] = ()  # labels of whom no picture that leaves the agent shows clearly
    blur_part: Literal["whole", "upper"] = "whole"  # of their boxes; upper = the upper third, where heads are


def load(path: Path) -> Config:
    """Read and check a config file. Raises ConfigError with file, line and key."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        hint = "`make sim` needs none, systemd/agent.toml is a start"
        raise ConfigError(f"config {path}: {error.strerror}; {hint}") from error
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
        if isinstance(seconds := sections.get("second", {}), dict):
            sections["second"] = {n: self.second(("second", n), table, cameras) for n, table in seconds.items()}
        config: Config = self.struct(Config, sections, ())
        if config.time_zone and config.time_zone not in zoneinfo.available_timezones():
            raise self.error(("time_zone",), f'{config.time_zone!r} is not one of this machine\'s zones; try "UTC"')
        topics = {
            name: self.plugin("publish/topics", name, table, ("mqtt", "topics", name))
            for name, table in config.mqtt.topics.items()
        }
        return msgspec.structs.replace(config, mqtt=msgspec.structs.replace(config.mqtt, topics=topics))

    def camera(self, where: tuple[str, ...], table: Any) -> Camera:
        shared = self.chosen(Camera, "capture/cameras", where, table)
        shared |= self.areas(where, shared)
        shared["anomalies"] = self.anomalies(where, shared)
        camera: Camera = self.struct(Camera, shared, where)
        for key in ("motion_masks", "privacy_masks"):
            for n, polygon in enumerate(getattr(camera, key)):
                if flaw := Zone(polygon).flaw():
                    raise self.error((*where, key), f"[{n}] {flaw}")
        return camera

    def second(self, where: tuple[str, ...], table: Any, cameras: Iterable[str]) -> Second:
        second: Second = self.struct(Second, self.chosen(Second, "detect/secondary/kinds", where, table), where)
        for name in set(second.cameras).difference(cameras):
            raise self.error((*where, "cameras"), f"names {name!r}; there are: {', '.join(cameras)}")
        return second

    def chosen(self, kind: type[Struct], folder: str, where: tuple[str, ...], table: Any) -> dict[str, Any]:
        """A table's keys that all kinds share, and in `options` the others, typed by the file that its kind names."""
        self.value(Id, where[-1], where)
        if not isinstance(table, dict):
            raise self.error(where, f"must be a table: [{where[0]}.NAME]")
        if "kind" not in table:
            raise self.error((*where, "kind"), f"is missing; there are: {', '.join(plugins.names(folder))}")
        common = set(kind.__struct_fields__) - {"options"}
        shared = {k: v for k, v in table.items() if k in common}
        own = {k: v for k, v in table.items() if k not in common}
        return {**shared, "options": self.plugin(folder, table["kind"], own, where, common)}

    def areas(self, where: tuple[str, ...], table: dict[str, Any]) -> dict[str, Any]:
        """The zones and lines of a camera, each drawing checked; they share one name space: counts go by name."""
        areas: dict[str, dict[str, Any]] = {"zones": {}, "lines": {}}
        for section, kind in (("zones", Zone), ("lines", Line)):
            if not isinstance(table.get(section, {}), dict):
                raise self.error((*where, section), f"must be tables: [{'.'.join(where)}.{section}.NAME]")
            for name, drawn in table.get(section, {}).items():
                here = (*where, section, name)
                self.value(Id, name, here)
                area = areas[section][name] = self.struct(kind, drawn, here)
                if flaw := area.flaw():
                    raise self.error((*here, kind.DRAWN), flaw)
        for name in areas["lines"].keys() & areas["zones"].keys():
            raise self.error((*where, "lines", name), ": there is a zone of this name already")
        return areas

    def anomalies(self, where: tuple[str, ...], camera: dict[str, Any]) -> dict[str, Anomaly]:
        """What is watched for, typed by its kind; the zones and lines that it names must be drawn."""
        made: dict[str, Anomaly] = {}
        sections = camera.get("anomalies", {})
        if not isinstance(sections, dict) or not all(isinstance(section, dict) for section in sections.values()):
            raise self.error((*where, "anomalies"), f"must be tables: [{'.'.join(where)}.anomalies.NAME]")
        for name, section in sections.items():
            here = (*where, "anomalies", self.value(Id, name, (*where, "anomalies", name)))
            kind, own = section.get("kind", name), {k: v for k, v in section.items() if k != "kind"}
            made[name] = Anomaly(kind, self.plugin("anomalies", kind, own, here, ("kind",)))
            for drawn in ("zones", "lines"):
                for area in getattr(made[name].options, drawn, ()):
                    if area not in camera[drawn]:
                        known = ", ".join(camera[drawn]) or "none"
                        raise self.error((*here, drawn), f"names {area!r}; there are: {known}")
        return made

    def plugin(self, folder: str, kind: Any, table: Any, where: tuple[str, ...], also_known: Iterable[str] = ()) -> Any:
        try:
            module = plugins.get(folder, str(kind))
        except KeyError as error:
            raise self.error((*where, "kind") if "kind" in also_known else where[:-1], error.args[0]) from error
        return self.struct(module.Options, table, where, also_known)
