"""What the world hears: wire (payloads), topics (one MQTT-facing feature a file), outbox, mqtt, publisher.

A topic is a file in agent/publish/topics/, chosen by its name under [mqtt.topics]. It has `Options`, a
msgspec struct with `enabled`, and `create(options, scope) -> Topic`. A Topic answers what it is told with
messages and keeps what it must remember between calls; it never sends, blocks, locks or touches the disk.
All calls come from one thread, so it needs no lock. What it raises is logged and costs that one call.
"""

# ruff: noqa: ARG002  a Topic's methods are named for those who answer them
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.data import Scene
from agent.device.health import Health
from agent.device.manifest import Standing
from agent.publish.payloads import AnomalyMessage, EventMessage
from agent.publish.switches import Switches
from agent.publish.wire import Sender

JSON, TEXT, JPEG = "application/json", "text/plain", "image/jpeg"


@dataclass(frozen=True, slots=True)
class Live:
    """Worth something only now: sent if the broker is there and keeps up, else dropped and counted."""

    topic: str
    payload: bytes
    content_type: str = JSON
    qos: int = 0
    correlation: bytes | None = None  # of the request that it answers (MQTT 5)


@dataclass(frozen=True, slots=True)
class State:
    """What holds until it changes: retained, QoS 1, the latest only, sent again on every connect."""

    topic: str
    payload: bytes  # empty removes it from the broker
    content_type: str = TEXT


@dataclass(frozen=True, slots=True)
class Durable:
    """What must arrive: numbered and stored by the outbox, kept until the broker acknowledged it."""

    topic: str
    draft: EventMessage | AnomalyMessage  # seq 0
    priority: int = 1  # when the outbox is full the lowest goes first


Message = Live | State | Durable


@dataclass(frozen=True, slots=True)
class Received:
    """A message on a subscription."""

    topic: str
    payload: bytes
    retained: bool = False
    response_topic: str | None = None  # MQTT 5: where the answer is wanted, and with which words
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What the loop is asked to do between two frames. Its answer comes later, by Publisher.answer."""

    verb: str
    arguments: Any  # of commands.VERBS
    asked: Received


@dataclass(slots=True)
class Stats:
    """What was sent since the start; read by health and the terminal view."""

    state: str = "connecting"  # "online", or why not
    reason: str = ""
    published: int = 0
    acked: int = 0  # of QoS 1
    dropped: int = 0  # Live messages that no broker was there for, and scenes that came too fast
    waiting: int = 0  # events in the outbox
    given_up: int = 0  # events that the outbox had no room for, that expired or were damaged
    outbox_trouble: str = ""  # why events are not safe just now
    config_trouble: str = ""  # why the config that was to be taken over was not
    errors: int = 0  # topics that raised


class Counters(Protocol):
    """How many went where: agent.track.counters.Counters is one. Asked from the publisher's thread."""

    def changes(self, since: int = 0) -> tuple[int, Mapping[Any, int]]:
        """What changed after revision `since`: the revision now, and (camera, zone or line, label, way) -> count."""

    def reset(self, name: str, camera: str | None = None) -> int:
        """Counts of a zone or line back to 0."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a topic may know of the agent around it."""

    prefix: str  # "lookout/<device>"
    sender: Sender
    cameras: Sequence[str]
    zones: Mapping[str, Sequence[str]] = field(default_factory=dict)  # camera -> names of the rows of Scene.inside
    counters: Counters | None = None
    switches: Switches = field(default_factory=lambda: Switches((), None))
    obeys: Collection[str] = ()  # commands that the pipeline carries out: "set", and those that it gets as an Order
    order: Callable[[Order], None] = lambda _: None  # hands one over
    stats: Callable[[], Stats] = Stats
    areas: Mapping[str, Collection[str]] = field(default_factory=dict)  # camera -> names of its zones and lines
    offers: Callable[[], Standing] | None = None  # which model's version runs and which there is; None: nobody looks
    second: Mapping[str, Sequence[str]] = field(default_factory=dict)  # camera -> names of its second looks

    def topic(self, *levels: str) -> str:
        """topic("yard", "events") -> "lookout/<device>/yard/events"."""
        return "/".join((self.prefix, *levels))


class Topic:
    """One feature. Each method is one thing it can be told; what a topic has no answer to, it leaves out."""

    subscriptions: Sequence[str] = ()  # MQTT topics it wants to receive
    hears_retained = False  # what the broker kept is old news, and no command

    def scene(self, scene: Scene) -> Iterable[Message]:
        """A frame was looked at."""
        return ()

    def camera(self, camera: str, online: bool) -> Iterable[Message]:
        """A camera came or went."""
        return ()

    def connected(self) -> Iterable[Message]:
        """The broker is there (again); states need no resending, the publisher does that."""
        return ()

    def health(self, health: Health) -> Iterable[Message]:
        """The board was looked at."""
        return ()

    def received(self, message: Received) -> Iterable[Message]:
        """Something came on the subscription of one of the topics."""
        return ()

    def answered(self, order: Order, refusal: str) -> Iterable[Message]:
        """An order was carried out, or why not."""
        return ()

    def closing(self) -> Iterable[Message]:
        """The agent stops in an orderly way: the last states."""
        return ()

    def tick(self, now: float) -> Iterable[Message]:
        """Time went by: about four times a second, monotonic s."""
        return ()
