"""The newest of everything the page shows: written by the pipeline's thread, read by the page's.

Nothing is copied or encoded when it is told, but for a small picture of what is rare enough to be remembered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import msgspec
import numpy as np

from agent import config, overlay
from agent.data import Array, CameraState, Detections, Event, Scene
from agent.device.health import Health
from agent.modelfile import Card
from agent.publish import Stats, payloads, wire
from agent.publish.pictures import jpeg

KEPT = 200  # happenings
PICTURES = 40  # of them with a picture
_PICTURE_PX = 240  # its longer side
_PICTURES_A_SCENE = 4  # a third of a ms each
_MARGIN = 0.2  # of a box's longer side, around it
_SMOOTH = 0.1  # weight of the newest interval in the mean
_ZONES = ("zone_enter", "zone_exit", "line_cross")
_PICTURED = ("zone_enter", "line_cross", "anomaly_start")


@dataclass(frozen=True, slots=True)
class Happened:
    """An event or an anomaly, told once."""

    number: int  # from 1
    camera: str
    event: Event
    size: tuple[int, int]  # of the frame, px
    label: str | None
    picture: Array | None  # (h, w, 3) uint8 RGB


@dataclass(frozen=True, slots=True)
class Running:
    """What the agent runs on just now."""

    settings: config.Config
    card: Card
    model: payloads.Model
    report: Mapping[str, Any] | None


class Now:
    """One for the whole agent. Told by one thread; each attribute may be read by another at any time."""

    def __init__(self, running: Running) -> None:
        self.scenes: dict[str, Scene] = {}
        self.cameras: dict[str, CameraState] = {}
        self.rates: dict[str, float] = {}  # frames looked at a second
        self.health: payloads.HealthMessage | None = None
        self.stats = Stats()
        self.happened: deque[Happened] = deque(maxlen=KEPT)
        self._pictured: deque[Happened] = deque(maxlen=PICTURES)
        self._number = 0
        self._jpegs: dict[tuple[str, bool], tuple[Scene, bytes]] = {}
        self.take_over(running)

    def take_over(self, running: Running) -> None:
        """Another config or model."""
        self.running = running
        self.sender = wire.Sender(running.settings.device, running.card.labels, running.model)
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
            if event.kind != "track_update":
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

    def jpeg(self, scene: Scene, *, boxes: bool, options: config.Web) -> bytes:
        """The scene's frame, made smaller and encoded once for all who look. For the page's thread only."""
        known = self._jpegs.get((scene.camera, boxes))
        if known and known[0] is scene:
            return known[1]
        image = scene.frame.image
        if boxes:
            tracks = scene.tracks
            image = overlay.draw(
                image, Detections(tracks.xyxy, tracks.confidence, tracks.class_id), self.running.card.labels
            )
        encoded = jpeg(_fitted(image, options.width), options.jpeg_quality)
        self._jpegs[scene.camera, boxes] = scene, encoded
        return encoded

    def forget_pictures(self) -> None:
        """Nobody looks any more."""
        self._jpegs.clear()

    def crop(self, camera: str, track: int) -> bytes | None:
        """JPEG of a track that is told now, cut out of the newest frame at its full resolution."""
        scene = self.scenes.get(camera)
        box = None if scene is None else _box_of(scene, track)
        return None if scene is None or box is None else jpeg(_fitted(_cut(scene.frame.image, box), 400), 90)

    def said(self, one: Happened) -> dict[str, Any]:
        """A happening for the page: the MQTT message, its number, and whether there is a picture of it."""
        if one.event.kind.startswith("anomaly_"):
            message: msgspec.Struct = wire.anomaly(one.event, one.camera, one.size, self.sender)
        else:
            message = wire.event(one.event, one.camera, one.size, self.sender, label=one.label)
        told: dict[str, Any] = msgspec.to_builtins(message)
        kept = one.picture is not None and one in list(self._pictured)
        return {**told, "number": one.number, "picture": kept}

    def _remember(self, event: Event, scene: Scene, *, is_pictured: bool) -> bool:
        self._number += 1
        detail, label = event.detail, None
        if "label" in detail:
            label = str(detail["label"])
        elif "class_id" in detail:
            label = self.sender.label(int(detail["class_id"]))
        picture = None
        if is_pictured:
            box = _box_of(scene, event.track_id) if event.kind in _ZONES else None
            image = scene.frame.image if box is None else _cut(scene.frame.image, box)
            picture = _fitted(image, _PICTURE_PX, is_copy=True)
        one = Happened(self._number, scene.camera, event, scene.frame.size, label, picture)
        self.happened.append(one)
        if picture is not None:
            self._pictured.append(one)
        return is_pictured


def _box_of(scene: Scene, track: int | None) -> list[float] | None:
    """px xyxy of a track that the scene tells of."""
    if track is None:
        return None
    rows = (scene.tracks.track_id == track).nonzero()[0]
    box: list[float] | None = scene.tracks.xyxy[rows[0]].tolist() if len(rows) else None
    return box


def _cut(image: Array, xyxy: list[float]) -> Array:
    """A view of the box and a little around it; never empty."""
    height, width = image.shape[:2]
    margin = _MARGIN * max(xyxy[2] - xyxy[0], xyxy[3] - xyxy[1])
    x1, y1 = (min(int(max(0.0, v - margin)), end - 2) for v, end in zip(xyxy[:2], (width, height), strict=True))
    return image[y1 : max(y1 + 2, int(xyxy[3] + margin) + 1), x1 : max(x1 + 2, int(xyxy[2] + margin) + 1)]


def _fitted(image: Array, longest: int, *, is_copy: bool = False) -> Array:
    """No side longer than `longest` px; the same picture where none is, unless a copy is asked for."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image.copy() if is_copy else image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
