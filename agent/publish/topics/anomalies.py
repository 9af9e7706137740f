"""<camera>/anomalies: what is not as it should be and what is over, QoS 1 through the outbox.

With `snapshots`, the beginning of one that a second model saw names, as detail.snapshot, the topic on which the frame
has just gone out, with what is strange in it in red.

<camera>/anomalies/active, retained: how many are going on now. A new run begins with 0: it has not seen any yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent import overlay
from agent.data import Scene
from agent.publish import JPEG, Durable, Live, Message, Scope, State, Topic, wire
from agent.publish.pictures import jpeg, shown

_PRIORITY = 3  # above every event of a track, a zone or a line


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.anomalies]."""

    enabled: bool = True
    snapshots: bool = False  # a JPEG with the heat map on <camera>/anomalies/<id>/snapshot, where a second model looks
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 85


def create(options: Options, scope: Scope) -> Topic:
    """Remembers which episodes are open: the anomalies bound their number."""
    return _Anomalies(options, scope)


class _Anomalies(Topic):
    def __init__(self, options: Options, scope: Scope) -> None:
        self._options, self._scope = options, scope
        self._open: dict[str, set[tuple[str, int]]] = {camera: set() for camera in scope.cameras}
        self._told: dict[str, int] = {}  # camera -> how many

    def connected(self) -> Iterable[Message]:
        return [message for camera in self._scope.cameras for message in self._active(camera)]

    def scene(self, scene: Scene) -> Iterable[Message]:
        if not scene.anomalies:
            return ()
        return self._messages(scene)

    def _messages(self, scene: Scene) -> Iterator[Message]:
        going_on = self._open.setdefault(scene.camera, set())
        topic = self._scope.topic(scene.camera, "anomalies")
        for event in scene.anomalies:
            draft = wire.anomaly(event, scene.camera, scene.frame.size, self._scope.sender)
            if draft.active:  # numbers that begin again: a reload has made it anew, what it saw before is forgotten
                going_on -= {one for one in going_on if one[0] == draft.source and one[1] >= draft.episode}
            (going_on.add if draft.active else going_on.discard)((draft.source, draft.episode))
            seen = scene.strange.get(draft.source) if draft.active and self._options.snapshots else None
            if seen and 0 not in scene.frame.image.strides:  # else its picture was dropped on the way here
                where = self._scope.topic(scene.camera, "anomalies", draft.id, "snapshot")
                picture = overlay.glow(shown(scene), seen.heat, seen.xyxy)
                yield Live(where, jpeg(picture, self._options.jpeg_quality), JPEG, qos=1)
                draft = msgspec.structs.replace(draft, detail={**draft.detail, "snapshot": where})
            yield Durable(topic, draft, _PRIORITY)
        yield from self._active(scene.camera)

    def _active(self, camera: str) -> Iterator[Message]:
        """How many, if that was not told before."""
        count = len(self._open[camera])
        if self._told.get(camera) != count:
            self._told[camera] = count
            yield State(self._scope.topic(camera, "anomalies", "active"), str(count).encode())
