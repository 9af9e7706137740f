"""The newest of everything the page shows: written by the pipeline's thread, read by the page's.

Nothing is copied or encoded when it is told, but for a small picture of what is rare enough to be remembered; what
should outlive a restart goes into the album besides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from agent import config, overlay, sections
from agent.data import Array, CameraState, Detections, Event, Scene
from agent.device.health import Health
from agent.modelfile import Card
from agent.publish import Stats, payloads, wire
from agent.publish.pictures import box_of, cut, fitted, given, jpeg, shown
from agent.web.album import Album

KEPT = 200  # happenings
PICTURES = 40  # of them with a picture
_RESTORED = 80  # happenings of earlier runs, out of the album
_PICTURE_PX = 240  # its longer side
_PICTURES_A_SCENE = 4  # a third of a ms each
_SMOOTH = 0.1  # weight of the newest interval in the mean
_ZONES = ("zone_enter", "zone_exit", "line_cross")
_PICTURED = ("zone_enter", "line_cross", "anomaly_start")


@dataclass(frozen=True, slots=True, eq=False)
class Happened:
    """An event or an anomaly, told once."""

    number: int  # from 1
    message: Callable[[], dict[str, Any]]  # as MQTT tells it
    picture: Array | None = None  # (h, w, 3) uint8 RGB
    snapshot: str | None = None  # id of its picture in the album


@dataclass(frozen=True, slots=True)
class Running:
    """What the agent runs on just now."""

    settings: config.Config
    card: Card
    model: payloads.Model
    report: Mapping[str, Any] | None


class Now:
    """One for the whole agent. Told by one thread; each attribute may be read by another at any time."""

    def __init__(self, running: Running, album: Album | None = None) -> None:
        self.scenes: dict[str, Scene] = {}
        self.cameras: dict[str, CameraState] = {}
        self.rates: dict[str, float] = {}  # frames looked at a second
        self.health: payloads.HealthMessage | None = None
        self.stats = Stats()
        self.happened: deque[Happened] = deque(maxlen=KEPT)
        self._pictured: deque[Happened] = deque(maxlen=PICTURES)
        self._number, self._album = 0, album
        self._jpegs: dict[tuple[str, bool], tuple[Scene, bytes]] = {}
        self.running = running
        self.take_over(running)
        for told in album.recent(_RESTORED) if album else ():
            self._number += 1
            self.happened.append(Happened(self._number, partial(dict, told), snapshot=told["id"]))

    def take_over(self, running: Running) -> None:
        """Another config or model."""
        for name, camera in running.settings.cameras.items():
            before = self.running.settings.cameras.get(name)
            if before and before.privacy_masks != camera.privacy_masks:
                self.scenes.pop(name, None)  # the last frame of a camera that is away would go on being shown
        self.running = running
        second = {name: one.about for name, one in running.settings.second.items()}
        self.sender = wire.Sender(running.settings.device, running.card.labels, running.model, second=second)
        for gone in {*self.scenes, *self.cameras} - running.settings.cameras.keys():
            self.scenes.pop(gone, None)
            self.cameras.pop(gone, None)
            self.rates.pop(gone, None)

    def look(self, scene: Scene) -> None:
        """A frame was looked at."""
        name, before = scene.camera, self.scenes.get(scene.camera)
        if before is not None and (passed := scene.frame.t - before.frame.t) > 0:
            rate = self.rates.get(name, 1 / passed)
            self.rates[name] = 1 / (_SMOOTH * passed + (1 - _SMOOTH) / rate)
        self.scenes[name] = scene
        room = _PICTURES_A_SCENE
        for event in (*scene.anomalies, *scene.events):
            if event.kind != "track_update" or "recognised" in event.detail:
                room -= self._remember(event, scene, is_pictured=room > 0 and event.kind in _PICTURED)

    def told(self, health: Health, stats: Stats) -> None:
        """The board was looked at."""
        self.stats = stats
        cameras = {name: "online" if state.online else "offline" for name, state in list(self.cameras.items())}
        self.health = wire.health(health, cameras, stats, self.sender)

    def detections(self, scene: Scene) -> payloads.Detections:
        """The scene as it goes out on MQTT."""
        section = self.running.settings.cameras.get(scene.camera)
        zones = tuple(section.zones) if section else ()
        return wire.detections(scene, self.sender, self.rates.get(scene.camera, 0.0), zones)

    def since(self, number: int) -> list[Happened]:
        """What happened after that one, oldest first."""
        return [one for one in list(self.happened) if one.number > number]

    def picture(self, number: int) -> bytes | None:
        """JPEG of what happened; None where none was kept, or not any more."""
        found = next((one.picture for one in list(self._pictured) if one.number == number), None)
        return None if found is None else jpeg(found, 80)

    def jpeg(self, scene: Scene, *, boxes: bool, options: sections.Web) -> bytes:
        """The scene's frame, made smaller and encoded once for all who look. For the page's thread only."""
        known = self._jpegs.get((scene.camera, boxes))
        if known and known[0] is scene:
            return known[1]
        image = shown(scene)
        if boxes:
            tracks = scene.tracks
            image = overlay.draw(
                image, Detections(tracks.xyxy, tracks.confidence, tracks.class_id), self.running.card.labels
            )
        encoded = jpeg(fitted(image, options.width), options.jpeg_quality)
        self._jpegs[scene.camera, boxes] = scene, encoded
        return encoded

    def forget_pictures(self) -> None:
        """Nobody looks any more."""
        self._jpegs.clear()

    def crop(self, camera: str, track: int) -> bytes | None:
        """JPEG of a track that is told now, cut out of the newest frame at its full resolution."""
        scene = self.scenes.get(camera)
        box = None if scene is None else box_of(scene, track)
        return None if scene is None or box is None else jpeg(fitted(cut(scene, box), 400), 90)

    def given(self, camera: str, track: int) -> bytes | None:
        """JPEG of what the model was given as it looked for a track, about as large; b"": not in the newest frame."""
        scene = self.scenes.get(camera)
        box = None if scene is None else box_of(scene, track)
        if scene is None or box is None:
            return None
        picture = given(scene, box)
        return b"" if picture is None else jpeg(fitted(picture, max(self.running.card.input.size)), 90)

    def snapshot(self, name: str) -> bytes | None:
        """JPEG out of the album, by its id; None where there is none, or not any more."""
        return self._album.picture(name) if self._album else None

    def said(self, one: Happened) -> dict[str, Any]:
        """A happening for the page: the MQTT message, its number in this run, and which pictures there are of it."""
        kept = one.picture is not None and one in list(self._pictured)
        run = {"boot_id": self.sender.boot_id, "number": one.number}
        return {**one.message(), **run, "picture": kept, "snapshot": one.snapshot}

    def _remember(self, event: Event, scene: Scene, *, is_pictured: bool) -> bool:
        self._number += 1
        detail, label = event.detail, None
        if "label" in detail:
            label = str(detail["label"])
        elif "class_id" in detail:
            label = self.sender.label(int(detail["class_id"]))
        message = partial(_message, event, scene.camera, scene.frame.size, self.sender, label)
        one = Happened(self._number, message)
        if is_pictured:
            box = box_of(scene, event.track_id) if event.kind in _ZONES else None
            picture = fitted(shown(scene) if box is None else cut(scene, box), _PICTURE_PX)
            one = Happened(self._number, message, picture)
            if self._album:
                told = message()
                if self._album.keep(told, scene, box, always=event.kind == "anomaly_start"):
                    one = Happened(self._number, partial(dict, told), picture, told["id"])
            self._pictured.append(one)
        self.happened.append(one)
        return is_pictured


def _message(
    happened: Event, camera: str, size: tuple[int, int], sender: wire.Sender, label: str | None
) -> dict[str, Any]:
    """As it goes out on MQTT."""
    message: msgspec.Struct
    if happened.kind.startswith("anomaly_"):
        message = wire.anomaly(happened, camera, size, sender)
    else:
        message = wire.event(happened, camera, size, sender, label=label)
    told: dict[str, Any] = msgspec.to_builtins(message)
    return told
