"""Speeding: somebody or something is faster than is allowed here.

    feet of a box over the last second      x │            · ·
    speed = slope of the line through them    │        · ·
                                              │   · ·
                                              └────────────── t

One speed for the whole picture means frame widths a second, where the far side of the street seems slow. With
`ground` (four points of the picture and where they are in metres, parts/ground) it means metres a second.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from agent.anomalies import EVERY_S, Anomaly, Place
from agent.anomalies.parts.episodes import Episodes, Finding, score
from agent.anomalies.parts.ground import Ground, on_ground
from agent.anomalies.parts.whom import Whom, ended
from agent.data import Array, Event, Scene

_SAMPLES = 5  # places of a track that are remembered
_SPAN = 0.5  # of over_s they must span


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.CAMERA.anomalies.speeding]."""

    limit: Annotated[float, Meta(gt=0)]  # m/s with `ground`, else frame widths a second
    ground: Ground | None = None
    labels: tuple[str, ...] = ()  # empty = all
    zones: tuple[str, ...] = ()  # empty = the whole picture
    over_s: Annotated[float, Meta(ge=0.2, le=10)] = 1.0  # the speed is that of so long
    hold_s: Annotated[float, Meta(ge=0, le=60)] = 0.5  # too fast for this long
    clear_s: Annotated[float, Meta(ge=0, le=3600)] = 3.0


def create(options: Options, place: Place) -> Anomaly:
    """Remembers some places of each live track."""
    return _Speeding(options, place)


class _Speeding(Anomaly):
    def __init__(self, options: Options, place: Place) -> None:
        self._options, self._place = options, place
        self.every_s = min(EVERY_S, options.over_s / _SAMPLES)
        self._whom = Whom(place, options.labels, options.zones)
        self._episodes = Episodes(place, clear_s=options.clear_s, hold_s=options.hold_s)
        self._matrix = options.ground.matrix() if options.ground else None
        self._unit = "m/s" if options.ground else "widths/s"
        self._paths: dict[int, deque[tuple[float, float, float]]] = {}  # track -> (t s, x, y) widths or m
        self._sampled, self._fastest = -math.inf, 0.0  # s: when all were sampled; their greatest speed
        self._fast: dict[int, Finding] = {}  # track -> what was found at its last sample

    def update(self, scene: Scene) -> list[Event]:
        gone, t = ended(scene), scene.frame.t
        for track in gone:
            self._paths.pop(track, None)
            self._fast.pop(track, None)
        tracks, rows = scene.tracks, self._whom.rows(scene)
        if 0 <= t - self._sampled < self._options.over_s / _SAMPLES - 1e-3:
            rows = rows[:0]
        else:
            self._sampled, self._fastest = t, 0.0
        rows = rows[tracks.row[rows] >= 0]  # where it was not looked for it stands still only on paper
        columns = (
            rows.tolist(),
            tracks.track_id[rows].tolist(),
            self._places(tracks.xyxy[rows], scene.frame.size).tolist(),
        )
        for row, track, (x, y) in zip(*columns, strict=True):
            if not self._is_sampled(track, t, x, y):
                continue
            speed = slope(self._paths[track])
            self._fastest = max(self._fastest, speed)
            self._fast.pop(track, None)
            if speed > self._options.limit:
                self._fast[track] = self._finding(scene, row, track, speed)
        over = {
            track: one for track, one in self._fast.items() if t - self._paths[track][-1][0] <= self._options.over_s
        }
        self.score = score(max([self._fastest, *(one.value for one in over.values())]), self._options.limit)
        return self._episodes.update(scene, over, gone)

    def _finding(self, scene: Scene, row: int, track: int, speed: float) -> Finding:
        label, limit = self._place.label(int(scene.tracks.class_id[row])), self._options.limit
        reason = f"{label} at {speed:.2f} {self._unit}{self._whom.where(scene, row)}; the limit is {limit:g}"
        about = {"label": label, "unit": self._unit, "xyxy": scene.tracks.xyxy[row].tolist()}
        return Finding(reason, speed, limit, track_id=track, about=about)

    def _places(self, xyxy: Array, size: tuple[int, int]) -> Array:
        """(N, 4) px -> (N, 2) where their feet are: m, or widths of the frame."""
        feet = np.stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]], axis=1).astype(np.float64)
        return feet / size[0] if self._matrix is None else on_ground(self._matrix, feet / size)

    def _is_sampled(self, track: int, t: float, x: float, y: float) -> bool:
        """Whether this place was a new sample, and there are enough of them to make a speed."""
        path, over_s = self._paths.setdefault(track, deque(maxlen=_SAMPLES)), self._options.over_s
        if not (math.isfinite(x) and math.isfinite(y)):  # beyond the horizon
            return False
        if path and not 0 <= t - path[-1][0] <= 2 * over_s:
            path.clear()
        path.append((t, x, y))
        while len(path) > 2 and t - path[1][0] >= over_s:  # one that is older may stay: frames may be rare
            path.popleft()
        return path[-1][0] - path[0][0] >= _SPAN * over_s


def slope(path: deque[tuple[float, float, float]]) -> float:
    """Length of the velocity of the least-squares line through (t, x, y)."""
    begin, x0, y0 = path[0]
    n, a, aa, b, c, ab, ac = len(path), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for when, x, y in path:  # plain sums: five points are too few for an array
        t, dx, dy = when - begin, x - x0, y - y0
        a, aa, b, c, ab, ac = a + t, aa + t * t, b + dx, c + dy, ab + t * dx, ac + t * dy
    return math.hypot(ab - a * b / n, ac - a * c / n) / (aa - a * a / n)
