"""<camera>/status: "online" or "offline", retained. (The device's own status is the connection's birth and will.)"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from agent.publish import Message, Scope, State, Topic

ONLINE, OFFLINE = b"online", b"offline"


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.status]."""

    enabled: bool = True


def create(_options: Options, scope: Scope) -> Topic:
    """Cameras count as offline until they are heard of."""
    return _Status(scope)


class _Status(Topic):
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._known: dict[str, bool] = {}

    def connected(self) -> Iterable[Message]:
        unknown = [camera for camera in self._scope.cameras if camera not in self._known]
        return [message for camera in unknown for message in self.camera(camera, online=False)]

    def camera(self, camera: str, online: bool) -> Iterable[Message]:
        if self._known.get(camera) == online:
            return ()
        self._known[camera] = online
        return (State(self._scope.topic(camera, "status"), ONLINE if online else OFFLINE),)
