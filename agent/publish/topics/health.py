"""health: how the board, the camera, the clock, the outbox and the agent fare, in words and numbers, every 30 s.

Also at once when a state changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from agent.device.health import Health
from agent.publish import Live, Message, Scope, Topic, wire


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.health]."""

    enabled: bool = True
    every_s: Annotated[float, Meta(ge=1)] = 30.0


def create(options: Options, scope: Scope) -> Topic:
    """Retained it is not: a health that is old says nothing."""
    return _Health(options, scope)


class _Health(Topic):
    def __init__(self, options: Options, scope: Scope) -> None:
        self._options, self._scope = options, scope
        self._cameras = dict.fromkeys(scope.cameras, "offline")
        self._board: Health | None = None
        self._told: tuple[float, object] = (float("-inf"), None)  # s of the last message, its states
        self._connected = False

    def connected(self) -> Iterable[Message]:
        self._told = (float("-inf"), None)
        self._connected = True
        return ()

    def camera(self, camera: str, online: bool) -> Iterable[Message]:
        self._cameras[camera] = "online" if online else "offline"
        return ()

    def health(self, health: Health) -> Iterable[Message]:
        self._board = health
        return ()

    def tick(self, now: float) -> Iterable[Message]:
        if self._board is None or not self._connected:
            return ()
        message = wire.health(self._board, self._cameras, self._scope.stats(), self._scope.sender)
        states = (message.cameras, message.outbox, message.config, message.clock, message.throttling, message.runs_on)
        if now - self._told[0] < self._options.every_s and states == self._told[1]:
            return ()
        self._told = (now, states)
        return (Live(self._scope.topic("health"), wire.encode(message)),)
