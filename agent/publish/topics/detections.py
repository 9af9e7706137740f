"""<camera>/detections: the tracks of a frame, QoS 0, for frames that have or just had something."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from agent.data import Scene
from agent.publish import Live, Message, Scope, Topic, wire

_FPS_OVER_S = 2.0  # time constant of the frame rate that is told


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.detections]."""

    enabled: bool = True
    rate_hz: Annotated[float, Meta(gt=0, le=240)] = 10.0  # at most this many messages a second and camera


def create(options: Options, scope: Scope) -> Topic:
    """One message a frame, at most `rate_hz`."""
    return _Detections(options, scope)


class _Rate:
    """Frames per second of one camera, smoothed over time, not over frames."""

    def __init__(self) -> None:
        self.fps, self._last = 0.0, float("nan")

    def add(self, t: float) -> None:
        dt = t - self._last
        self._last = t
        if dt > 0:
            weight = min(1.0, dt / _FPS_OVER_S) if self.fps else 1.0
            self.fps += weight * (1 / dt - self.fps)


class _Detections(Topic):
    def __init__(self, options: Options, scope: Scope) -> None:
        self._scope, self._period = scope, 1 / options.rate_hz
        self._rates: dict[str, _Rate] = {}
        self._due: dict[str, float] = {}  # camera -> s, when the next message may go
        self._busy: dict[str, bool] = {}  # camera -> the last message had tracks

    def scene(self, scene: Scene) -> Iterable[Message]:
        camera, t = scene.camera, scene.frame.t
        rate = self._rates.setdefault(camera, _Rate())
        rate.add(t)
        if not (len(scene.tracks) or self._busy.get(camera)):
            return ()
        due = self._due.get(camera, t)
        if t < due - 0.1 * self._period:  # a frame a little early is the one meant
            return ()
        self._due[camera] = max(due + self._period, t)
        self._busy[camera] = len(scene.tracks) > 0
        payload = wire.detections(scene, self._scope.sender, rate.fps, self._scope.zones.get(camera, ()))
        return (Live(self._scope.topic(camera, "detections"), wire.encode(payload)),)
