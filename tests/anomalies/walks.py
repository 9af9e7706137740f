"""Scenes made of walks: boxes that jitter, are missed and are not looked for, through the real zones and lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.anomalies import Anomaly, Place
from agent.areas import Line, Zone
from agent.data import Detections, Event, Frame, Scene, Tracks
from agent.plugins import get
from agent.track.counters import Counters
from agent.track.zones import Zones

LABELS = ("person", "car", "dog")
SIZE = (640, 360)
LEFT = Zone(polygon=((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
GATE = Line(points=((0.1, 0.5), (0.9, 0.5)))  # what comes down the picture goes in


@dataclass(frozen=True)
class Walk:
    """Somebody's feet over time."""

    feet: Callable[[float], tuple[float, float]]  # s -> x, y in 0..1
    begin: float = 0.0  # s
    end: float = 1e9  # s: not seen any more from here on, its track ends
    label: str = "person"
    height: float = 0.2  # of the picture


@dataclass
class World:
    """A camera at which walks are seen."""

    walks: Sequence[Walk]
    fps: float = 5.0
    seconds: float = 20.0
    zones: Mapping[str, Zone] = field(default_factory=lambda: {"left": LEFT})
    lines: Mapping[str, Line] = field(default_factory=lambda: {"gate": GATE})
    jitter: float = 0.0  # px, standard deviation
    missed: float = 0.0  # share of frames in which a track is not found
    unlooked: float = 0.0  # share of frames in which it is not looked for
    seed: int = 0

    def place(self, kind: str, wall: Callable[[float], float] = float) -> Place:
        return Place("yard", kind, kind, LABELS, self.zones, self.lines, wall=wall)

    def scenes(self) -> Iterator[Scene]:
        dice, zones = np.random.default_rng(self.seed), Zones("yard", self.zones, self.lines, Counters())
        image, last = np.zeros((SIZE[1], SIZE[0], 3), np.uint8), {}
        known: set[int] = set()
        for seq in range(round(self.seconds * self.fps)):
            t = seq / self.fps
            rows = []
            for number, walk in enumerate(self.walks, 1):
                if not walk.begin <= t < walk.end:
                    continue
                if number in known and dice.random() < self.missed:
                    continue
                looked = number not in known or dice.random() >= self.unlooked
                if looked:
                    x, y = np.array(walk.feet(t - walk.begin)) * SIZE
                    tall = walk.height * SIZE[1]
                    box = np.array([x - tall / 5, y - tall, x + tall / 5, y]) + dice.normal(0, self.jitter, 4)
                    last[number] = box
                rows.append((number, last[number], walk.label, 0 if looked else -1))
                known.add(number)
            ended = [number for number in sorted(known) if t >= self.walks[number - 1].end]
            known -= set(ended)
            tracks = _tracks(rows)
            inside, events = zones.update(tracks, LABELS, SIZE, t=t, seq=seq, ended=ended)
            over = [Event("track_end", t, seq, "yard", number, {}) for number in ended]
            yield Scene("yard", Frame(image, seq, t), Detections.empty(), tracks, (*events, *over), {}, inside)

    def told(self, kind: str, wall: Callable[[float], float] = float, **options: object) -> list[Event]:
        """What one kind says of it."""
        anomaly = self.anomaly(kind, wall, **options)
        return [event for scene in self.scenes() for event in anomaly.update(scene)]

    def anomaly(self, kind: str, wall: Callable[[float], float] = float, **options: object) -> Anomaly:
        module = get("anomalies", kind)
        made: Anomaly = module.create(module.Options(**options), self.place(kind, wall))
        return made


def _tracks(rows: Sequence[tuple[int, np.ndarray, str, int]]) -> Tracks:
    n = len(rows)
    return Tracks(
        track_id=np.array([row[0] for row in rows], np.int64),
        xyxy=np.array([row[1] for row in rows], np.float32).reshape(n, 4),
        velocity=np.zeros((n, 2), np.float32),
        confidence=np.full(n, 0.8, np.float32),
        class_id=np.array([LABELS.index(row[2]) for row in rows], np.int32),
        age=np.ones(n, np.float32),
        missed=np.zeros(n, np.float32),
        row=np.array([row[3] for row in rows], np.int32),
    )


def stand(x: float, y: float) -> Callable[[float], tuple[float, float]]:
    return lambda _: (x, y)


def straight(begin: tuple[float, float], velocity: tuple[float, float]) -> Callable[[float], tuple[float, float]]:
    """From `begin`, so much of the picture a second."""
    return lambda t: (begin[0] + velocity[0] * t, begin[1] + velocity[1] * t)


def starts(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.kind == "anomaly_start"]


def ends(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.kind == "anomaly_end"]
