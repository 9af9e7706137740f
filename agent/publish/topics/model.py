"""model/state: which version of the model runs and which its maker offers, retained; if [updates] names a manifest."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from agent.device.manifest import Standing
from agent.publish import JSON, Message, Scope, State, Topic, wire


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.model]."""

    enabled: bool = True


def create(_options: Options, scope: Scope) -> Topic:
    """Silent where nobody looks for new models."""
    return _Model(scope)


class _Model(Topic):
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._told: Standing | None = None

    def connected(self) -> Iterable[Message]:
        return self.tick(0.0)

    def tick(self, now: float) -> Iterable[Message]:  # noqa: ARG002
        standing = self._scope.offers() if self._scope.offers else None
        if standing is None or standing == self._told:
            return ()
        self._told = standing
        told = wire.encode(wire.model_state(standing, self._scope.sender))
        return (State(self._scope.topic("model", "state"), told, JSON),)
