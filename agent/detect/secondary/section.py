"""One [second.NAME]: which crop of whom is looked at next, and what the looks so far say.

    a track    ▁▂▂▅▇▅▂▁▁  quality of its crops; the best that was not looked at yet is held, a copy
    looks         ↑ ↑  ↑  one at a time, `per_second` at most over all cameras: who had fewest first
    decides       the `best` looks over its life, each with its quality as weight

A track that had `best` looks is looked at again only where it shows itself clearly better. A place is looked at when it
is due, and its last `best` looks decide.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent.boxes import area
from agent.data import Array, Event, Reading, Scene
from agent.detect.secondary import Eye, crops
from agent.detect.secondary.aside import Aside, Errand
from agent.sections import Second

_HELD = 16  # crops that wait, of all tracks
_WEIGHED = 2  # crops whose sharpness is measured in one frame, at most
_BETTER = 1.25  # × the weakest look that counts, to be worth one more
_PAUSE_S = 0.1  # between two crops of one track that are weighed
Key = tuple[str, int | None]  # camera, track; None: the place


@dataclass(slots=True, eq=False)
class _Known:
    """What is known of a track, or of the place at one camera."""

    looks: list[tuple[float, Any]] = field(default_factory=list)  # quality, what it said
    held: tuple[float, float, Array, float] | None = None  # quality, t, picture, scale
    weighed: float = float("-inf")  # s, when a crop was last
    asked: float = float("-inf")  # s
    reading: Reading | None = None
    told: str | float | None = None  # the value that an event told


class Section:
    """A second look at the tracks, or the places, of all its cameras."""

    def __init__(self, name: str, wanted: Second, eye: Eye, cameras: Sequence[str], aside: Aside) -> None:
        self.name, self.eye = name, eye
        self._wanted, self._cameras = wanted, tuple(wanted.cameras or cameras)
        self._errand: Errand[tuple[Key, _Known, float, Any, Reading]] = Errand(aside)
        self._known: dict[Key, _Known] = {}
        self._asked = float("-inf")  # s, of the last look

    def look(self, scene: Scene, labels: Sequence[str]) -> tuple[dict[int, Reading], Reading | None, list[Event]]:
        """One frame: readings by track, that of the place, and events of what has changed; never waits."""
        if scene.camera not in self._cameras:
            return {}, None, []
        self._take()
        if 0 not in scene.frame.image.strides:  # else its picture was dropped on the way here
            if self._wanted.region:
                self._know(scene.camera, None)
            else:
                self._weigh(scene, labels)
            self._ask(scene)
        events = self._news(scene)
        of = {key[1]: known.reading for key, known in self._known.items() if key[0] == scene.camera and known.reading}
        for event in scene.events:
            if event.kind == "track_end":
                self._known.pop((scene.camera, event.track_id), None)
        place = of.pop(None, None)
        return {track: reading for track, reading in of.items() if track is not None}, place, events

    def forget(self, camera: str) -> None:
        """Nothing seen at this camera is known any more, and no crop of it is held."""
        self._known = {key: known for key, known in self._known.items() if key[0] != camera}

    def _know(self, camera: str, track: int | None) -> _Known:
        return self._known.setdefault((camera, track), _Known())

    def _weigh(self, scene: Scene, labels: Sequence[str]) -> None:
        """Hold the best crop of each track, if a look at it could change anything."""
        tracks, t, side = scene.tracks, scene.frame.t, self.eye.side
        wanted = [
            0 <= class_id < len(labels) and labels[class_id] in self._wanted.labels for class_id in tracks.class_id
        ]
        shorter = np.minimum(tracks.xyxy[:, 2] - tracks.xyxy[:, 0], tracks.xyxy[:, 3] - tracks.xyxy[:, 1])
        rows = np.flatnonzero(np.array(wanted, np.bool_) & (tracks.row >= 0) & (shorter >= self._wanted.least_px))
        rows = rows[np.argsort(-area(tracks.xyxy[rows]), kind="stable")]
        known = [self._know(scene.camera, int(tracks.track_id[row])) for row in rows]
        due = [(one, row) for one, row in zip(known, rows, strict=True) if not 0 <= t - one.weighed < _PAUSE_S]
        for one, row in sorted(due, key=lambda pair: pair[0].weighed)[:_WEIGHED]:
            one.weighed = t
            box = crops.around(tracks.xyxy[row], scene.frame.size, self._wanted.part)
            if box is None:
                continue
            picture, scale = crops.taken(scene.frame.image, box, side)
            quality = crops.quality(picture, scale, tracks.xyxy[row], scene.frame.size, side)
            if quality > max(self._enough(one), one.held[0] if one.held else 0.0):
                one.held = quality, t, picture, scale
        waiting = [one for one in self._known.values() if one.held]
        for one in sorted(waiting, key=self._urgency)[_HELD:]:
            one.held = None

    def _enough(self, one: _Known) -> float:
        """A crop must be better than this to be looked at."""
        return _BETTER * one.looks[-1][0] if len(one.looks) >= self._wanted.best else 0.0

    @staticmethod
    def _urgency(one: _Known) -> tuple[int, float]:
        return len(one.looks), -one.held[0] if one.held else 0.0

    def _ask(self, scene: Scene) -> None:
        """Have the most urgent crop looked at, if it is time."""
        t = scene.frame.t
        if not self._errand.is_free or 0 <= t - self._asked < 0.99 / self._wanted.per_second:
            return
        if self._wanted.region:
            self._visit(scene)
            return
        waiting = [(key, one) for key, one in self._known.items() if one.held]
        if waiting:
            key, one = min(waiting, key=lambda pair: self._urgency(pair[1]))
            held, one.held = one.held, None
            if held:
                self._send(t, key, one, held)

    def _visit(self, scene: Scene) -> None:
        """The place at this camera, if no other camera's has waited longer."""
        key: Key = (scene.camera, None)
        place, t = self._known[key], scene.frame.t
        if 0 <= t - place.asked < 0.99 * len(self._cameras) / self._wanted.per_second:
            return
        assert self._wanted.region
        crop = crops.cut(self._wanted.region, scene.frame.size)
        self._send(t, key, place, (1.0, t, *crops.taken(scene.frame.image, crop, self.eye.side)))

    def _send(self, t: float, key: Key, one: _Known, held: tuple[float, float, Array, float]) -> None:
        quality, seen, picture, scale = held
        before, eye = list(one.looks), self.eye
        self._asked = one.asked = t

        def look() -> tuple[Key, _Known, float, Any, Reading]:
            said = eye.look(picture, scale)
            return key, one, quality, said, eye.sum_up(seen, weighted(self._best([*before, (quality, said)])))

        self._errand.ask(look)

    def _best(self, looks: list[tuple[float, Any]]) -> list[tuple[float, Any]]:
        """Those that count: of a place the last, the newest last; of a track the best, the weakest last."""
        if self._wanted.region:
            return looks[-self._wanted.best :]
        return sorted(looks, key=lambda look: -look[0])[: self._wanted.best]

    def _take(self) -> None:
        """The answer of the last look, if it is there; one about a track that has gone is nobody's."""
        if found := self._errand.answer():
            key, one, quality, said, reading = found
            if self._known.get(key) is one:
                one.reading, one.looks = reading, self._best([*one.looks, (quality, said)])

    def _news(self, scene: Scene) -> list[Event]:
        """An event for each value of this camera's that is another now; a track's says what else is known of it."""
        events = []
        rows = {int(track): row for row, track in enumerate(scene.tracks.track_id)}
        for (camera, track), one in self._known.items():
            if camera != scene.camera or one.reading is None or not self._is_news(one.told, one.reading.value):
                continue
            if track is not None and track not in rows:
                continue  # it is not told of in this frame
            one.told = one.reading.value
            at, seq = scene.frame.t, scene.frame.seq
            if track is None:
                detail = {"value": one.reading.value, **said(one.reading)}
                events.append(Event("reading", at, seq, self.name, None, detail))
            else:
                about = {"class_id": int(scene.tracks.class_id[rows[track]]), "xyxy": scene.tracks.xyxy[rows[track]]}
                events.append(Event("track_update", at, seq, camera, track, about))
        return events

    def _is_news(self, told: str | float | None, value: str | float | None) -> bool:
        if isinstance(told, float | int) and isinstance(value, float | int):
            return abs(value - told) >= self.eye.step
        return told != value


def weighted(looks: Sequence[tuple[float, Any]]) -> list[tuple[float, Any]]:
    """Qualities -> weights, 1 the best's."""
    most = max(quality for quality, _ in looks)
    return [(quality / most if most > 0 else 1.0, what) for quality, what in looks]


def said(reading: Reading) -> dict[str, Any]:
    """A reading's numbers, for an event."""
    return {"confidence": reading.confidence, "looks": reading.looks, **reading.detail}


def told(events: Sequence[Event], recognised: Mapping[int, Mapping[str, Reading]]) -> tuple[Event, ...]:
    """Events with what is recognised of the tracks that they are about."""
    return tuple(
        dataclasses.replace(event, detail={**event.detail, "recognised": {
            name: {"value": one.value, **said(one)} for name, one in recognised[event.track_id].items()
        }})
        if event.track_id is not None and event.track_id in recognised
        else event
        for event in events
    )  # fmt: skip
