"""<camera>/counts/<zone>/<label>: how many are inside now; .../in and .../out: how many went so far. Retained.

Lines have no inside: for them there are only .../in and .../out. The label "all" is the sum.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from agent.data import Scene
from agent.publish import Message, Scope, State, Topic

INSIDE = "inside"


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.counts]."""

    enabled: bool = True


def create(_options: Options, scope: Scope) -> Topic:
    """Silent in an agent that counts nothing."""
    return _Counts(scope)


class _Counts(Topic):
    def __init__(self, scope: Scope) -> None:
        self._scope, self._revision = scope, 0

    def scene(self, _: Scene) -> Iterable[Message]:
        return self._changes()

    def tick(self, _: float) -> Iterable[Message]:
        return self._changes()

    def _changes(self) -> list[Message]:
        if self._scope.counters is None:
            return []
        self._revision, changed = self._scope.counters.changes(self._revision)
        return [
            State(
                self._scope.topic(camera, "counts", name, _level(label), *([] if way == INSIDE else [way])),
                str(count).encode(),
            )
            for (camera, name, label, way), count in changed.items()
        ]


def _level(label: str) -> str:
    """A label as one level of a topic: "traffic light" -> "traffic_light"."""
    return "".join("_" if letter in "/+# " else letter for letter in label)
