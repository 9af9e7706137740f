"""<camera>/events: what happened, QoS 1 through the outbox: start, update (rate-limited) and end of each track.

With `snapshots`, the end of a track names, as detail.snapshot, the topic on which its best picture has just gone out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.data import Event, Scene
from agent.device.health import Health
from agent.publish import JPEG, Durable, Live, Message, Scope, Topic, wire
from agent.publish.pictures import Best, jpeg

_PRIORITY = {"track_update": 0, "track_start": 1, "track_end": 1}  # anything rarer is worth more
_RARE = 2
_LOST = "lost"  # in what a backend says that it runs on: the processor stands in for an accelerator


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.events]."""

    enabled: bool = True
    update_s: Annotated[float, Meta(ge=0)] = 5.0  # at most one track_update a track in this time, but for a new name
    snapshots: bool = False  # a JPEG of each track's best moment on <camera>/events/<id>/snapshot
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 85


def create(options: Options, scope: Scope) -> Topic:
    """Each event of each scene becomes a message."""
    return _Events(options, scope)


class _Events(Topic):
    def __init__(self, options: Options, scope: Scope) -> None:
        self._scope, self._options = scope, options
        self._best, self._runs_on = Best(), ""
        self._told: dict[tuple[str, int], tuple[str, float]] = {}  # (camera, track) -> label, s of its last message

    def scene(self, scene: Scene) -> Iterable[Message]:
        if self._options.snapshots:
            self._best.look(scene)
        return [message for event in scene.events for message in self._messages(event, scene)]

    def health(self, health: Health) -> Iterable[Message]:
        before, self._runs_on = self._runs_on, health.runs_on
        lost = [_LOST in runs_on for runs_on in (before, health.runs_on)]
        if lost[0] == lost[1]:
            return ()
        kind, t = "accelerator_lost" if lost[1] else "accelerator_back", self._scope.sender.clock.monotonic()
        happened = Event(kind, t, 0, "accelerator", None, {"runs_on": health.runs_on, "before": before})
        return (Durable(self._scope.topic("events"), wire.event(happened, None, (1, 1), self._scope.sender), _RARE),)

    def _messages(self, event: Event, scene: Scene) -> Iterator[Message]:
        key = (scene.camera, event.track_id) if event.track_id is not None else None
        label, last = self._told.get(key, (None, float("-inf"))) if key else (None, float("-inf"))
        is_news = "recognised" in event.detail  # else an update says only that it goes on
        if event.kind == "track_update" and not is_news and event.t - last < self._options.update_s:
            return
        label = self._label(event, scene) or label
        if key and event.kind == "track_end":
            self._told.pop(key, None)
        elif key and label:
            self._told[key] = (label, event.t)
        draft = wire.event(event, scene.camera, scene.frame.size, self._scope.sender, label=label)
        picture = self._best.take(scene.camera, event.track_id) if event.kind == "track_end" else None
        if picture is not None:
            topic = self._scope.topic(scene.camera, "events", draft.id, "snapshot")
            yield Live(topic, jpeg(picture, self._options.jpeg_quality), JPEG, qos=1)
            draft = msgspec.structs.replace(draft, detail={**draft.detail, "snapshot": topic})
        yield Durable(self._scope.topic(scene.camera, "events"), draft, _PRIORITY.get(event.kind, _RARE))

    def _label(self, event: Event, scene: Scene) -> str | None:
        """What the track is: from the event, else from the scene, else None (the caller remembers the last)."""
        if "label" in event.detail:
            return str(event.detail["label"])
        if "class_id" in event.detail:
            return self._scope.sender.label(int(event.detail["class_id"]))
        if event.track_id is None or not len(scene.tracks):
            return None
        rows = (scene.tracks.track_id == event.track_id).nonzero()[0]
        return self._scope.sender.label(int(scene.tracks.class_id[rows[0]])) if len(rows) else None
