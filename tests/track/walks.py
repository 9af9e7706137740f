"""Tracks that walk where a test says, fed to Zones frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from agent.areas import Line, Zone
from agent.data import Array, Event, Tracks
from agent.track.counters import Counters
from agent.track.zones import Zones

LABELS = ("person", "car", "dog")
SIZE = (640, 384)  # px of the picture; never square
BOX = (16.0, 32.0)  # px of an object
SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
ACROSS = Line(((0.0, 0.5), (1.0, 0.5)))  # from left to right: what comes down goes in
ABOVE, ON, BELOW = (0.5, 0.3), (0.5, 0.5), (0.5, 0.7)
Spot = tuple[float, float]  # where an object's feet are, 0..1 of the picture


def tracks(
    spots: Mapping[int, Spot],
    *,
    unseen: Iterable[int] = (),  # looked for in vain
    unlooked: Iterable[int] = (),  # not looked for
    class_id: int | Mapping[int, int] = 0,
    size: tuple[int, int] = SIZE,
) -> Tracks:
    """One row for each id: a box whose bottom centre is at its spot."""
    ids = np.array(list(spots), np.int64)
    feet = np.array(list(spots.values()), np.float64).reshape(-1, 2) * size
    classes = [class_id if isinstance(class_id, int) else class_id[i] for i in spots]
    zero = np.zeros(len(ids), np.float32)
    half = np.array([BOX[0] / 2, 0])
    return Tracks(
        track_id=ids,
        xyxy=np.concatenate([feet - half - [0, BOX[1]], feet + half], axis=1).astype(np.float32),
        velocity=np.zeros((len(ids), 2), np.float32),
        confidence=zero + np.float32(0.9),
        class_id=np.array(classes, np.int32),
        age=zero,
        missed=np.isin(ids, list(unseen)).astype(np.float32),
        row=np.where(np.isin(ids, [*unseen, *unlooked]), -1, np.arange(len(ids))).astype(np.int32),
    )


class Street:
    """A camera with zones and lines, its counters, and everything that happened so far."""

    def __init__(
        self, zones: Mapping[str, Zone] | None = None, lines: Mapping[str, Line] | None = None, fps: float = 10.0
    ) -> None:
        self.counters = Counters()
        self.zones = Zones("street", zones or {}, lines or {}, self.counters)
        self.fps, self.seq = fps, 0
        self.events: list[Event] = []
        self.inside: Array = np.zeros((0, 0), np.bool_)

    def see(self, seen: Tracks, ended: Sequence[int] = (), size: tuple[int, int] = SIZE) -> list[Event]:
        """One frame; returns what happened in it."""
        t = self.seq / self.fps
        self.inside, events = self.zones.update(seen, LABELS, size, t=t, seq=self.seq, ended=ended)
        self.seq += 1
        self.events += events
        return events

    def walk(self, *spots: Spot, track: int = 1, end: bool = True) -> list[Event]:
        """One track, a spot a frame, then its end; returns what happened in all these frames."""
        before = len(self.events)
        for spot in spots:
            self.see(tracks({track: spot}))
        if end:
            self.see(Tracks.empty(), ended=[track])
        return self.events[before:]

    def count(self, name: str, way: str, label: str = "all") -> int:
        return self.counters.counts().get(("street", name, label, way), 0)


def told(events: Sequence[Event]) -> list[str]:
    """The kinds, in order; with a line's direction."""
    return [" ".join(filter(None, (event.kind, event.detail.get("direction")))) for event in events]
