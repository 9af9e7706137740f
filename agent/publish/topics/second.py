"""<camera>/second/<name>: what second looks say, QoS 1: of a track when it is another name now, of a place each look.

Not retained: a name should not outlive on a broker the one who bears it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from agent.data import Reading, Scene
from agent.publish import Live, Message, Scope, Topic, wire


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.second]."""

    enabled: bool = True


def create(_options: Options, scope: Scope) -> Topic:
    """Remembers what it said last of each track that is there, and of each place."""
    return _Second(scope)


class _Second(Topic):
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._told: dict[str, dict[tuple[str, int | None], object]] = {}  # camera -> (name, track) -> what was told

    def scene(self, scene: Scene) -> Iterable[Message]:
        if not (scene.recognised or scene.readings or self._told.get(scene.camera)):
            return ()
        return list(self._messages(scene))

    def _messages(self, scene: Scene) -> Iterator[Message]:
        before = self._told.get(scene.camera, {})
        now: dict[tuple[str, int | None], object] = {}
        for name, track, reading in _all(scene):
            news = reading.t if track is None else reading.value
            now[name, track] = news
            if before.get((name, track)) != news:
                payload = wire.second(name, reading, scene, self._scope.sender, track)
                yield Live(self._scope.topic(scene.camera, "second", name), wire.encode(payload), qos=1)
        self._told[scene.camera] = now


def _all(scene: Scene) -> Iterator[tuple[str, int | None, Reading]]:
    """Every reading there is: [second.NAME], its track or None, what it says."""
    yield from ((name, None, reading) for name, reading in scene.readings.items())
    for track, readings in scene.recognised.items():
        yield from ((name, track, reading) for name, reading in readings.items())
