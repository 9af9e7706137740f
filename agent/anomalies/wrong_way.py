"""Wrong way: over a line, or through a zone, against the direction that is allowed.

    lines, way = "in"                       zones, direction = [[0.5, 0.9], [0.5, 0.1]]
            │                                 ┌────────────────┐
       ─────┼────▶ allowed                    │    ▲ allowed   │   p furthest forward since it came
      ◀─────┼───── told, at the crossing      │    p───┐       │
            │                                 │        ▼ told when it is back by `distance` sizes
                                              └────────────────┘

In a zone it is not the speed that counts but the way back from where a track was furthest forward: who stands and
sways never goes back far. The way back must also lie within 60° of straight back: crossing the road is no wrong way.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.anomalies import EVERY_S, Anomaly, Place
from agent.anomalies.parts.episodes import Episodes, Finding, score
from agent.anomalies.parts.whom import Whom, ended
from agent.areas import Point
from agent.data import Event, Scene

_SIDEWAYS = 3**0.5  # times the way back: tan 60°


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.CAMERA.anomalies.wrong_way]: lines, or zones and a direction, or both."""

    labels: tuple[str, ...] = ()  # empty = all
    lines: tuple[str, ...] = ()
    way: Literal["in", "out"] = "in"  # the allowed way over the lines
    zones: tuple[str, ...] = ()  # empty with a direction = the whole picture
    direction: tuple[Point, Point] | None = None  # from the first point to the second is allowed
    distance: Annotated[float, Meta(ge=0.1, le=20)] = 1.5  # so far back, in sizes of the object, is the wrong way
    clear_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0

    def __post_init__(self) -> None:
        if not self.lines and self.direction is None:
            raise ValueError("needs lines, or a direction")
        if self.direction and self.direction[0] == self.direction[1]:
            raise ValueError("direction: its two points are the same")


def create(options: Options, place: Place) -> Anomaly:
    """Remembers one place for each live track."""
    return _WrongWay(options, place)


class _WrongWay(Anomaly):
    every_s = EVERY_S

    def __init__(self, options: Options, place: Place) -> None:
        self._options, self._place = options, place
        self._whom = Whom(place, options.labels, options.zones)
        self._episodes = Episodes(place, clear_s=options.clear_s)
        self._furthest: dict[int, tuple[float, float]] = {}  # track -> px: its place furthest forward

    def update(self, scene: Scene) -> list[Event]:
        gone = ended(scene)
        for track in gone:
            self._furthest.pop(track, None)
        crossed = self._crossings(scene)
        back, strongest = self._back(scene) if self._options.direction else ({}, 0.0)
        self.score = 1.0 if crossed else score(strongest, self._options.distance)
        return self._episodes.update(scene, back | crossed, [("", track) for track in gone])

    def _crossings(self, scene: Scene) -> dict[tuple[str, int | None], Finding]:
        """Who crossed a line the wrong way in this frame."""
        found: dict[tuple[str, int | None], Finding] = {}
        for event in scene.events:
            label = str(event.detail.get("label", ""))
            if event.kind != "line_cross" or event.source not in self._options.lines:
                continue
            wanted = not self._options.labels or label in self._options.labels
            if event.detail["direction"] == self._options.way or not wanted:
                continue
            reason = (
                f"{label} crosses {event.source!r} {event.detail['direction']}; only {self._options.way} is allowed"
            )
            about = {"label": label, "line": event.source, "path": event.detail["path"]}
            key = event.source, event.track_id
            found[key] = Finding(reason, 1.0, 0.0, severity=1.0, track_id=event.track_id, about=about)
        return found

    def _back(self, scene: Scene) -> tuple[dict[tuple[str, int | None], Finding], float]:
        """Who has come back too far from where he was furthest forward, and how far the furthest, in sizes."""
        assert self._options.direction
        (ax, ay), (bx, by) = self._options.direction
        ux, uy = (bx - ax) * scene.frame.size[0], (by - ay) * scene.frame.size[1]  # px
        length = math.hypot(ux, uy)
        ux, uy = ux / length, uy / length
        tracks, limit = scene.tracks, self._options.distance
        found: dict[tuple[str, int | None], Finding] = {}
        strongest, rows = 0.0, self._whom.rows(scene)
        for track in set(tracks.track_id[tracks.missed <= 0].tolist()).difference(tracks.track_id[rows].tolist()):
            self._furthest.pop(track, None)  # out of the zone: the next time it begins anew
        rows = rows[tracks.row[rows] >= 0]
        columns = rows.tolist(), tracks.track_id[rows].tolist(), tracks.xyxy[rows].tolist()
        for row, track, (x1, y1, x2, y2) in zip(*columns, strict=True):
            x, y = (x1 + x2) / 2, y2
            fx, fy = self._furthest.get(track, (x, y))
            back = (fx - x) * ux + (fy - y) * uy
            if back <= 0:
                self._furthest[track] = x, y
                continue
            sideways = abs((fx - x) * uy - (fy - y) * ux)
            value = back / max(1.0, ((x2 - x1) * (y2 - y1)) ** 0.5)
            if sideways > _SIDEWAYS * back:
                continue
            strongest = max(strongest, value)
            if value >= limit:
                label = self._place.label(int(tracks.class_id[row]))
                where = self._whom.where(scene, row)
                reason = f"{label} goes the wrong way{where}, {value:.1f} times its size; the limit is {limit:g}"
                about = {"label": label, "unit": "sizes", "xyxy": [x1, y1, x2, y2]}
                found["", track] = Finding(reason, value, limit, track_id=track, about=about)
        return found, strongest
