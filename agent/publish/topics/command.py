"""command/<verb> -> command/<verb>/result: what is asked of the agent from outside. Off unless switched on.

What was set is shown, retained, on <camera>/<setting>/state: detection, confidence, fps, motion_masks, privacy_masks.
What the loop has to do (reload, update_model) is answered once it is done or refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from agent.data import Event, Scene
from agent.publish import JPEG, Durable, Live, Message, Order, Received, Scope, State, Topic, commands, wire
from agent.publish.commands import CommandError
from agent.publish.pictures import jpeg, shown
from agent.publish.switches import Wanted

Verb = Literal["snapshot", "set", "reset_counts", "reload", "update_model"]
_PRIORITY = 3  # an audit event is worth more than what it is about


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.command]."""

    enabled: bool = False
    verbs: tuple[Verb, ...] = ("snapshot", "set", "reset_counts", "reload")  # only these
    models_dir: Path | None = None  # update_model takes files by name from here, and from nowhere else
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 85


def create(options: Options, scope: Scope) -> Topic:
    """Verbs that this agent cannot carry out are refused like those that are not allowed."""
    return _Command(options, scope)


class _Command(Topic):
    def __init__(self, options: Options, scope: Scope) -> None:
        self._options, self._scope = options, scope
        self._limiter, self._was_limited = commands.Limiter(), False
        self._latest: dict[str, Scene] = {}
        self.subscriptions = (scope.topic("command", "+"),)
        self._do: dict[str, Callable[[Any], Iterator[Message]]] = {"snapshot": self._snapshot}
        if "set" in scope.obeys:
            self._do["set"] = self._set
        ordered = {"reload"} | ({"update_model"} if options.models_dir or scope.offers else set())
        self._ordered = ordered & set(scope.obeys) & set(options.verbs)
        if scope.counters is not None:
            self._do["reset_counts"] = self._reset_counts
        self._do = {verb: do for verb, do in self._do.items() if verb in options.verbs}

    def scene(self, scene: Scene) -> Iterable[Message]:
        if 0 not in scene.frame.image.strides:  # else its picture was dropped on the way here
            self._latest[scene.camera] = scene
        return ()

    def connected(self) -> Iterable[Message]:
        return [state for camera in self._scope.cameras for state in self._states(camera)] if "set" in self._do else ()

    def received(self, message: Received) -> Iterable[Message]:
        verb = message.topic.removeprefix(self._scope.topic("command") + "/")
        if verb == message.topic:  # for another topic
            return ()
        allowed = self._limiter.allows(time.monotonic())
        if not allowed and self._was_limited:  # said once: a flood must not become a flood of events
            return ()
        self._was_limited = not allowed
        answer: list[Message] = []
        try:
            if not allowed:
                raise CommandError("too many commands; those that follow are ignored for a while")  # noqa: TRY301
            if verb not in {*self._do, *self._ordered}:
                known = ", ".join([*self._do, *sorted(self._ordered)]) or "none"
                raise CommandError(f"not allowed; allowed here: {known}")  # noqa: TRY301
            arguments = commands.parse(verb, message.payload)
            if verb in self._ordered:
                self._scope.order(Order(verb, arguments, message))
                return answer
            self._check_camera(arguments)
            answer += self._do[verb](arguments)
            return [*answer, *self._told(message, verb, "", msgspec.to_builtins(arguments))]
        except (CommandError, OSError) as error:
            return [*answer, *self._told(message, verb, str(error), {})]

    def answered(self, order: Order, refusal: str) -> Iterable[Message]:
        return self._told(order.asked, order.verb, refusal, msgspec.to_builtins(order.arguments))

    def _check_camera(self, arguments: Any) -> None:
        camera = arguments.camera
        if camera is not None and camera not in self._scope.cameras:
            raise CommandError(f"there is no camera {camera!r}; there are: {', '.join(self._scope.cameras)}")

    def _told(self, message: Received, verb: str, refusal: str, arguments: dict[str, Any]) -> Iterator[Message]:
        """The answer to whom asked, and the audit event."""
        result = wire.encode(wire.result(verb[:64], refusal, self._scope.sender))
        if verb in commands.VERBS:
            yield Live(self._scope.topic("command", verb, "result"), result, qos=1)
        if message.response_topic and not set("+#") & set(message.response_topic):
            yield Live(message.response_topic, result, qos=1, correlation=message.correlation)
        detail = {"verb": verb[:64], "ok": not refusal, "reason": refusal, "arguments": arguments}
        happened = Event("command", time.monotonic(), 0, "command", None, detail)
        yield Durable(self._scope.topic("events"), wire.event(happened, None, (1, 1), self._scope.sender), _PRIORITY)

    def _snapshot(self, asked: commands.Snapshot) -> Iterator[Message]:
        scene = self._latest.get(asked.camera)
        if scene is None:
            raise CommandError(f"camera {asked.camera} has not shown anything yet")
        picture = jpeg(shown(scene), self._options.jpeg_quality)
        yield Live(self._scope.topic(asked.camera, "snapshot"), picture, JPEG, qos=1)

    def _set(self, asked: commands.Set) -> Iterator[Message]:
        named = {field: value for field, value in msgspec.structs.asdict(asked).items() if value is not msgspec.UNSET}
        del named["camera"]
        if "privacy_masks" in named:
            self._latest.pop(asked.camera, None)  # it shows what is to be hidden
        wanted = msgspec.structs.replace(self._scope.switches[asked.camera], **named)
        self._scope.switches.put(asked.camera, wanted)
        yield from self._states(asked.camera)

    def _reset_counts(self, asked: commands.ResetCounts) -> Iterator[Message]:
        assert self._scope.counters
        self._scope.counters.reset(asked.name, asked.camera)
        yield from ()

    def _states(self, camera: str) -> list[Message]:
        wanted: Wanted = self._scope.switches[camera]
        shown = {
            "detection": "OFF" if wanted.detection is False else "ON",
            "confidence": "default" if wanted.confidence is None else f"{wanted.confidence:g}",
            "fps": "default" if wanted.fps is None else f"{wanted.fps:g}",
            "motion_masks": _polygons(wanted.motion_masks),
            "privacy_masks": _polygons(wanted.privacy_masks),
        }
        return [State(self._scope.topic(camera, name, "state"), text.encode()) for name, text in shown.items()]


def _polygons(masks: tuple[Any, ...] | None) -> str:
    return "default" if masks is None else msgspec.json.encode(masks).decode()
