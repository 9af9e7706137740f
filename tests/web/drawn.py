"""A front garden that is drawn, with people in it: what the page shows where no camera and no model is at hand."""

from __future__ import annotations

import functools
import itertools
import math
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from msgspec import structs

from agent.capture.privacy import Cover
from agent.data import Array, Detections, Event, Frame, Scene, Tracks
from agent.device.health import Board
from agent.publish import Stats
from tests.fakes.scenes import LABELS, anomaly
from tests.web.served import Served

SIZE = (1280, 720)
FPS = 10.0
TOML = """device = "front-door"

# The front garden.
[cameras.garden]
kind = "synthetic"
privacy_masks = [[[0.80, 0.10], [0.97, 0.06], [0.97, 0.42], [0.80, 0.42]]]  # the neighbour's window

[cameras.garden.zones.porch]
polygon = [[0.06, 0.60], [0.40, 0.60], [0.46, 0.80], [0.04, 0.80]]
labels = ["person"]

[cameras.garden.lines.gate]
points = [[0.52, 0.86], [0.74, 0.86]]

[cameras.garden.anomalies.loitering]
dwell_s = 20.0

[model]

[web]
enabled = true
port = 0
"""
TIMES = {"motion": 1.6, "regions": 0.3, "letterbox": 0.7, "invoke": 21.0, "decode": 0.5, "track": 0.4}  # ms
_SKIN, _DARK = (224, 178, 148), (44, 48, 58)


@dataclass(frozen=True)
class Walker:
    """Back and forth between two places, px of the foot; `high` px at y = 600."""

    track: int
    coat: tuple[int, int, int]
    here: tuple[float, float]
    there: tuple[float, float]
    period: float  # s
    phase: float = 0.0
    high: float = 190.0


WALKERS = (
    Walker(3, (196, 62, 52), (160, 560), (560, 600), 16.0),
    Walker(5, (52, 92, 168), (760, 640), (1120, 590), 19.0, 4.0),
    Walker(8, (226, 172, 60), (640, 560), (652, 562), 6.0, high=176.0),
)


@functools.cache
def place() -> Array:
    """The garden without anybody, (720, 1280, 3) uint8 RGB."""
    width, height = SIZE
    rows = np.linspace(0, 1, height)[:, None]
    sky = np.array([150, 190, 222]) * (1 - rows) + np.array([232, 238, 236]) * rows
    image = np.repeat(sky[:, None, :], width, axis=1).reshape(height, width, 3).astype(np.uint8).copy()

    def fill(color: tuple[int, int, int], *points: tuple[int, int]) -> None:
        cv2.fillPoly(image, [np.array(points, np.int32)], color, cv2.LINE_AA)

    for x in range(-20, 1300, 46):  # trees behind
        cv2.circle(image, (x, 300 + (x * 7) % 40), 62, (96 + (x * 3) % 22, 134, 92), cv2.FILLED, cv2.LINE_AA)
    fill((128, 168, 104), (0, 340), (1280, 350), (1280, 720), (0, 720))  # lawn
    fill((214, 200, 178), (170, 470), (330, 470), (700, 640), (960, 640), (960, 660), (600, 670))  # path
    fill((226, 214, 196), (0, 120), (420, 90), (420, 452), (0, 480))  # house
    fill((150, 84, 66), (0, 60), (20, 52), (450, 30), (450, 96), (0, 128))
    fill((92, 66, 52), (190, 240), (290, 234), (290, 462), (190, 468))  # door
    for x in (50, 325):
        fill((246, 246, 240), (x - 8, 216), (x + 78, 212), (x + 78, 344), (x - 8, 350))
        fill((120, 150, 170), (x, 224), (x + 70, 220), (x + 70, 336), (x, 342))
    fill((206, 196, 188), (1000, 60), (1280, 40), (1280, 400), (1000, 384))  # the neighbours'
    fill((118, 88, 76), (976, 66), (1280, 20), (1280, 62), (976, 96))
    fill((250, 236, 190), (1050, 96), (1220, 84), (1220, 280), (1050, 282))
    cv2.line(image, (1135, 90), (1135, 281), (120, 100, 80), 6, cv2.LINE_AA)
    for x in range(470, 1280, 26):  # fence
        cv2.line(image, (x, 398), (x, 452), (236, 234, 228), 8, cv2.LINE_AA)
    for y in (410, 436):
        cv2.line(image, (462, y), (1280, y), (236, 234, 228), 6, cv2.LINE_AA)
    fill((172, 172, 170), (0, 664), (1280, 640), (1280, 720), (0, 720))  # pavement
    return image


def person(image: Array, foot: tuple[float, float], high: float, coat: tuple[int, int, int], step: float) -> Array:
    """Somebody who walks; the box, xyxy px."""
    x, y = foot
    swing = 0.11 * high * math.sin(step)
    at = lambda dx, dy: (round(x + dx * high), round(y - dy * high))  # noqa: E731
    for side in (swing, -swing):
        cv2.line(image, at(0, 0.48), (round(x + side), round(y)), _DARK, max(3, round(0.085 * high)), cv2.LINE_AA)
    cv2.line(image, at(0, 0.74), at(0, 0.46), coat, round(0.23 * high), cv2.LINE_AA)
    for side in (1, -1):
        end = (round(x + side * 0.1 * high - side * swing * 0.7), round(y - 0.42 * high))
        cv2.line(image, at(side * 0.1, 0.77), end, coat, round(0.075 * high), cv2.LINE_AA)
    cv2.circle(image, at(0, 0.92), round(0.078 * high), _SKIN, cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(image, at(0, 0.94), (round(0.08 * high), round(0.075 * high)), 0, 180, 360, _DARK, -1, cv2.LINE_AA)
    wide = 0.17 * high + abs(swing) * 0.4
    return np.array([x - wide, y - 1.02 * high, x + wide, y + 0.02 * high])


def scene(seq: int, t: float, cover: Cover, events: tuple[Event, ...] = (), anomalies: tuple[Event, ...] = ()) -> Scene:
    """The garden at frame `seq`, who is followed there, and what happens."""
    image, boxes, steps = place().copy(), [], []
    for walker in sorted(WALKERS, key=lambda one: one.here[1]):
        share = 0.5 - 0.5 * math.cos(2 * math.pi * (seq / FPS + walker.phase) / walker.period)
        x, y = (a + (b - a) * share for a, b in zip(walker.here, walker.there, strict=True))
        boxes.append(person(image, (x, y), walker.high * (0.4 + y / 1000), walker.coat, seq * 0.55))
        steps.append(walker.track)
    frame, n = Frame(image, seq, t), len(boxes)
    with cover:
        cover.paint(frame)
    confidence = np.array([0.86 + 0.05 * math.sin(seq / 7 + k) for k in range(n)], np.float32)
    tracks = Tracks(
        track_id=np.array(steps, np.int64),
        xyxy=np.array(boxes, np.float32),
        velocity=np.zeros((n, 2), np.float32),
        confidence=confidence,
        class_id=np.zeros(n, np.int32),
        age=np.full(n, 3 + seq / FPS, np.float32),
        missed=np.zeros(n, np.float32),
        row=np.arange(n, dtype=np.int32),
    )
    times = {**TIMES, "invoke": 21.0 + math.sin(seq)}
    feet = tracks.xyxy[:, [0, 2]].mean(axis=1) / SIZE[0], tracks.xyxy[:, 3] / SIZE[1]
    inside = ((feet[0] > 0.05) & (feet[0] < 0.45) & (feet[1] > 0.6) & (feet[1] < 0.8))[None]
    return Scene("garden", frame, Detections.empty(), tracks, events, times, inside, anomalies)


def happens(seq: int, t: float) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Events and anomalies of frame `seq`."""
    told: list[Event] = []
    for track, name, way, at in ((3, "porch", None, 4), (5, "gate", "in", 12), (8, "gate", "out", 26)):
        if seq % 120 == at:
            detail: dict[str, Any] = {"label": LABELS[0], "count": 1 + seq // 120, "count_all": 2 + seq // 120}
            detail |= {"direction": way} if way else {"inside_s": 0.5}
            told.append(Event("line_cross" if way else "zone_enter", t, seq, name, track, detail))
    reason = "person 8 stays for 21 s; the limit is 20 s"
    wrong = replace(anomaly(t=t, reason=reason, value=21.0, limit=20.0, severity=0.31), source="loitering", track_id=8)
    return tuple(told), (wrong,) if seq == 20 else ()


class Garden:
    """A page that is served, and told of the garden ten times a second until it is closed."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.served = Served(folder, extra, toml=TOML, camera="garden")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    @property
    def url(self) -> str:
        return self.served.site.url

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.served.close()

    def _feed(self) -> None:
        cover, board = Cover(), Board()
        for seq in itertools.count():
            t = time.monotonic()
            cover.hide(self.served.settings.cameras["garden"].privacy_masks)
            self.served.site.on_scene(scene(seq, t, cover, *happens(seq, t)))
            if seq % 10 == 0:
                health = structs.replace(
                    board.look(), runs_on="XNNPACK, 3 threads", soc_c=51.0, cpu=0.34, stage_ms=TIMES
                )
                self.served.site.on_health(health, Stats(state="online", published=seq))
            if self._stopping.wait(max(0.0, t + 1 / FPS - time.monotonic())):
                return
