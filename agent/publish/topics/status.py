"""<camera>/status: "online" or "offline", retained. (The device's own status is the connection's birth and will.)

What an earlier run left retained of cameras, zones and lines that are not in the config any more is removed, where the
broker lets this device read its own topics.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from agent.publish import Message, Received, Scope, State, Topic

_RETAINED = ("+/status", "+/+/state", "+/counts/#", "+/anomalies/active")  # what there may be of a camera
ONLINE, OFFLINE = b"online", b"offline"


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.status]."""

    enabled: bool = True


def create(_options: Options, scope: Scope) -> Topic:
    """Cameras count as offline until they are heard of."""
    return _Status(scope)


class _Status(Topic):
    hears_retained = True

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.subscriptions = [scope.topic(topic) for topic in _RETAINED]
        self.subscriptions += [] if scope.offers else [scope.topic("model", "state")]
        self._known: dict[str, bool] = {}

    def connected(self) -> Iterable[Message]:
        unknown = [camera for camera in self._scope.cameras if camera not in self._known]
        return [message for camera in unknown for message in self.camera(camera, online=False)]

    def camera(self, camera: str, online: bool) -> Iterable[Message]:
        if self._known.get(camera) == online:
            return ()
        self._known[camera] = online
        return (State(self._scope.topic(camera, "status"), ONLINE if online else OFFLINE),)

    def received(self, message: Received) -> Iterable[Message]:
        camera, *rest = message.topic.removeprefix(self._scope.topic("")).split("/")
        if not (message.retained and message.payload and rest and message.topic.startswith(self._scope.topic(""))):
            return ()
        if camera in self._scope.cameras:
            known = self._scope.areas.get(camera)
            if known is None or rest[0] != "counts" or rest[1] in known:
                return ()
        elif camera == "command":
            return ()
        return (State(message.topic, b""),)
