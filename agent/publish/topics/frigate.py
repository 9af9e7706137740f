"""frigate/...: the same scenes in the words of Frigate, so that automations made for it go on working.

frigate/events (new, update, end), frigate/<camera>/<label>, frigate/<zone>/<label>, frigate/available. Boxes are px of
the frame, times Unix seconds, as there (docs.frigate.video/integrations/mqtt). Unlike there, counts are retained, so
they are right after any restart. What Frigate tells and Lookout does not know stands at its empty value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent.data import Scene
from agent.publish import Live, Message, Scope, State, Topic

Seen = dict[str, Any]
_ALL = "all"


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.frigate]."""

    enabled: bool = True
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "frigate"
    update_s: Annotated[float, Meta(ge=0.1)] = 5.0  # an object that stays is told again so often


def create(options: Options, scope: Scope) -> Topic:
    """Off unless its section stands in the config."""
    return _Frigate(options, scope)


class _Frigate(Topic):
    def __init__(self, options: Options, scope: Scope) -> None:
        self._options, self._scope = options, scope
        self._objects: dict[tuple[str, int], Seen] = {}  # (camera, track) -> as last told
        self._told_at: dict[tuple[str, int], float] = {}  # s, monotonic
        self._counts: dict[str, dict[tuple[str, str], int]] = {}  # camera -> (camera or zone, label) -> told

    def connected(self) -> Iterable[Message]:
        return (State(f"{self._options.prefix}/available", b"online"),)

    def closing(self) -> Iterable[Message]:
        return (State(f"{self._options.prefix}/available", b"stopped"),)

    def scene(self, scene: Scene) -> Iterable[Message]:
        return [*self._events(scene), *self._changed_counts(scene)]

    def _events(self, scene: Scene) -> Iterator[Message]:
        now = scene.frame.t
        seen = {int(track): row for row, track in enumerate(scene.tracks.track_id)}
        for track, row in seen.items():
            key = (scene.camera, track)
            before = self._objects.get(key)
            after = self._object(scene, row, before)
            if before is None:
                yield self._event("new", after, after)
            elif (
                before["current_zones"] != after["current_zones"]
                or (before["sub_label"] or [None])[0] != (after["sub_label"] or [None])[0]
                or now - self._told_at[key] >= self._options.update_s
            ):
                yield self._event("update", before, after)
            else:
                before["top_score"] = after["top_score"]
                continue
            self._objects[key], self._told_at[key] = after, now
        ended = {event.track_id for event in scene.events if event.kind == "track_end"}
        for camera, track in [key for key in self._objects if key[0] == scene.camera and key[1] in ended]:
            before = self._objects.pop((camera, track))
            del self._told_at[camera, track]
            after = {**before, "end_time": self._wall(now), "active": False, "current_zones": []}
            yield self._event("end", before, after)

    def _event(self, kind: str, before: Seen, after: Seen) -> Message:
        payload = msgspec.json.encode({"type": kind, "before": before, "after": after})
        return Live(f"{self._options.prefix}/events", payload, qos=1)

    def _object(self, scene: Scene, row: int, before: Mapping[str, Any] | None) -> Seen:
        tracks, (width, height) = scene.tracks, scene.frame.size
        start = before["start_time"] if before else self._wall(scene.frame.t - float(tracks.age[row]))
        score = round(float(tracks.confidence[row]), 4)
        zones = self._zones(scene, row)
        x1, y1, x2, y2 = (round(value) for value in tracks.xyxy[row].tolist())
        x1, x2 = max(0, x1), min(width, x2)
        y1, y2 = max(0, y1), min(height, y2)
        entered = before["entered_zones"] if before else []
        known = scene.recognised.get(int(tracks.track_id[row]), {}).values()
        named = [[one.value, round(one.confidence, 4)] for one in known if isinstance(one.value, str)]
        return {
            "id": before["id"] if before else f"{start:.6f}-{scene.camera}{int(tracks.track_id[row])}",
            "camera": scene.camera,
            "frame_time": self._wall(scene.frame.t),
            "snapshot": None,
            "label": self._scope.sender.label(int(tracks.class_id[row])),
            "sub_label": next(iter(named), None),  # what a second look calls it, and how sure it is
            "top_score": max(score, before["top_score"] if before else 0.0),
            "false_positive": False,
            "start_time": start,
            "end_time": None,
            "score": score,
            "box": [x1, y1, x2, y2],
            "area": max(0, x2 - x1) * max(0, y2 - y1),
            "ratio": round((x2 - x1) / max(1, y2 - y1), 2),
            "region": [0, 0, width, height],
            "active": True,
            "stationary": False,
            "motionless_count": 0,
            "position_changes": 0,
            "current_zones": zones,
            "entered_zones": [*entered, *(zone for zone in zones if zone not in entered)],
            "has_clip": False,
            "has_snapshot": False,
            "attributes": {},
            "current_attributes": [],
        }

    def _zones(self, scene: Scene, row: int) -> list[str]:
        names = self._scope.zones.get(scene.camera, ())
        if scene.inside.shape != (len(names), len(scene.tracks)):
            return []
        return [name for name, inside in zip(names, scene.inside[:, row].tolist(), strict=True) if inside]

    def _changed_counts(self, scene: Scene) -> Iterator[Message]:
        """How many of each label are in the picture and in each zone; one that was told and is gone becomes 0."""
        now: Counter[tuple[str, str]] = Counter()
        for row, class_id in enumerate(scene.tracks.class_id.tolist()):
            for place in (scene.camera, *self._zones(scene, row)):
                now[place, self._scope.sender.label(class_id)] += 1
                now[place, _ALL] += 1
        told = self._counts.setdefault(scene.camera, {})
        for place, label in {**told, **now}:
            count = now[place, label]
            if told.get((place, label)) != count:
                told[place, label] = count
                yield State(f"{self._options.prefix}/{place}/{label}", str(count).encode())

    def _wall(self, t: float) -> float:
        return round(self._scope.sender.clock.wall(t), 6)
