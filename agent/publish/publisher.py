"""The facade that the pipeline holds: it puts what it is told into a queue, and never waits."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from agent import config, plugins
from agent.data import CameraState, Event, Scene
from agent.device.health import Health
from agent.device.manifest import Standing
from agent.publish import Counters, Order, Scope, Stats, Topic, payloads, wire
from agent.publish.clock import Clock
from agent.publish.mqtt import Connection
from agent.publish.outbox import Outbox
from agent.publish.session import Outgoing
from agent.publish.switches import Switches, Wanted
from agent.publish.writer import Answer, Item, Stop, Writer

ALWAYS = (
    "status",
    "detections",
    "events",
    "anomalies",
    "counts",
    "health",
    "model",
    "second",
)  # on unless their section says enabled = false
_COMMAND = "command"
_SCENES = 16  # scenes that wait for the writer before those without events are dropped
_HUNG = 20_000  # scenes with events that wait while a disk hangs, before they are dropped too


class Card(Protocol):
    """What a model says of itself."""

    @property
    def labels(self) -> Sequence[str]:
        """Name of each class."""


class Model(Protocol):
    """What the messages tell of the model; the detector's Model is one."""

    name: str
    sha256: str

    @property
    def card(self) -> Card:
        """Its card."""


class Publisher:
    """Sink of the pipeline; nothing in it but close() waits. A `with` starts and closes it."""

    def __init__(
        self, settings: config.Config, model: Model, *, counters: Counters | None = None,
        obeys: Collection[str] = (), order: Callable[[Order], None] = lambda _: None,
        offers: Callable[[], Standing] | None = None, succeeds: Publisher | None = None,
    ) -> None:  # fmt: skip
        """`obeys`: "set" if the caller does what `wanted` says, and the verbs that it carries out on an `order`.

        `offers`: which versions of a model there are; None: nobody looks. `succeeds` is the one before in this
        process, which is closed before this one starts: where events wait in memory, they go over.
        """
        if _COMMAND in settings.cameras:
            raise config.complaint(None, ("cameras", _COMMAND), "the name is taken: commands arrive on this topic")
        options, device, clock = settings.mqtt, settings.device, Clock()
        sender = _sender(settings, model, clock)
        cameras, stats = tuple(settings.cameras), Stats()
        commands = options.topics.get(_COMMAND)
        obeys = [verb for verb in obeys if commands and commands.enabled and verb in commands.verbs]
        before = succeeds._switches if succeeds else None
        self._switches: Switches = Switches(cameras, settings.state_dir if "set" in obeys else None, before)
        scope = Scope(
            *(f"{options.prefix}/{device}", sender, cameras, _zones(settings), counters, self._switches, obeys, order),
            *(lambda: stats, _areas(settings), offers, _looks(settings)),
        )
        topics = _topics(options.topics, scope)
        self._dropped = self._scenes = 0
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._connection = Connection(
            options,
            f"{options.prefix}-{device}".replace("/", "-"),
            Outgoing(scope.topic("status"), b"offline", qos=1, retain=True),
            [topic for each in topics.values() for topic in each.subscriptions],
            self._inbox.put,
        )
        path = outbox_path(settings)
        self._outbox = Outbox(options.outbox, path, clock)
        if path is None and succeeds and succeeds._outbox.path is None:
            self._outbox = succeeds._outbox
        self._writer = Writer(scope, topics, self._outbox, self._connection, self._inbox)
        self._thread = threading.Thread(target=self._writer.run, name="publisher", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to connect and to publish; returns at once, whether or not a broker is there."""
        self._connection.start()
        self._thread.start()

    def on_scene(self, scene: Scene) -> None:
        """A frame was looked at. When this cannot be told fast enough, scenes without events are dropped."""
        waiting = self._scenes - self._writer.scenes_done
        if waiting >= _SCENES:
            if not (scene.events or scene.anomalies) or waiting >= _HUNG:
                self._dropped += 1
                return
            scene = _without_picture(scene)
        self._scenes += 1
        self._inbox.put(scene)

    def on_camera(self, state: CameraState) -> None:
        """A camera came or went."""
        self._inbox.put(state)

    def on_health(self, health: Health) -> None:
        """The board was looked at."""
        self._inbox.put(health)

    def on_event(self, kind: str, source: str, **detail: Any) -> None:
        """Something happened to the device itself."""
        self._inbox.put(Event(kind, time.monotonic(), 0, source, None, detail))

    def on_config(self, rejected: str) -> None:
        """A config was taken over (""), or why not; health shows it until one is."""
        self._writer.stats.config_trouble = rejected
        kind, detail = ("config_rejected", {"reason": rejected}) if rejected else ("config_changed", {})
        self.on_event(kind, "config", **detail)

    def answer(self, order: Order, refusal: str) -> None:
        """An order was carried out (""), or why not."""
        self._inbox.put(Answer(order, refusal))

    def wanted(self, camera: str) -> Wanted:
        """What was asked of this camera from outside; costs nothing to ask before each frame."""
        return self._switches[camera]

    def stats(self) -> Stats:
        """A copy of the counters."""
        return replace(self._writer.stats, dropped=self._writer.stats.dropped + self._dropped)

    def close(self, timeout: float = 5.0, forget: Callable[[str], bool] = lambda _: False) -> None:
        """Send what waits if the broker takes it in time, then a clean "offline". Ends both threads.

        Retained topics that are to be forgotten disappear from the broker, if it is there.
        """
        deadline = time.monotonic() + timeout
        if self._thread.ident:
            self._inbox.put(Stop(deadline, forget))
            self._thread.join(timeout + 1.0)
        self._connection.close(max(0.5, deadline - time.monotonic()), clean=self._writer.said_goodbye)


def outbox_path(settings: config.Config) -> Path | None:
    """Where events wait on the disk; None for durability = "memory"."""
    return settings.state_dir / "outbox.db" if settings.mqtt.outbox.durability == "disk" else None


def gone(before: config.Config, after: config.Config) -> Callable[[str], bool]:
    """Whether nobody speaks on a retained topic any more once `after` has taken the place of `before`."""
    root = f"{before.mqtt.prefix}/{before.device}"
    if root != f"{after.mqtt.prefix}/{after.device}":
        return lambda _: True
    areas, left = _areas(before), _areas(after)
    roots = [f"{root}/{name}/" for name in areas.keys() - left.keys()]
    roots += [
        f"{root}/{name}/counts/{area}/" for name in areas.keys() & left.keys() for area in areas[name] - left[name]
    ]
    if before.updates.manifest and not after.updates.manifest:
        roots.append(f"{root}/model/state")
    places = {*areas, *chain(*areas.values())} - {*left, *chain(*left.values())}
    for kind, told in before.mqtt.topics.items():
        now = after.mqtt.topics.get(kind)
        stays = now and now.enabled and getattr(now, "prefix", "") == getattr(told, "prefix", "")
        if kind == "homeassistant" and not stays:
            roots.append(f"{told.prefix}/device/lookout_{before.device}/")
        if kind == "frigate":
            roots += [f"{told.prefix}/{place}/" for place in places] if stays else [f"{told.prefix}/"]
    return lambda topic: topic.startswith(tuple(roots))


def _areas(settings: config.Config) -> dict[str, set[str]]:
    """Camera -> its zones and lines."""
    return {
        name: {*getattr(camera, "zones", ()), *getattr(camera, "lines", ())}
        for name, camera in settings.cameras.items()
    }


def _sender(settings: config.Config, model: Model, clock: Clock) -> wire.Sender:
    second = {name: one.about for name, one in settings.second.items()}
    named = payloads.Model(model.name, model.sha256)
    return wire.Sender(settings.device, model.card.labels, named, clock, second=second)


def _looks(settings: config.Config) -> dict[str, tuple[str, ...]]:
    """Camera -> names of its second looks."""
    looks = settings.second.items()
    return {
        camera: tuple(n for n, one in looks if camera in (one.cameras or settings.cameras))
        for camera in settings.cameras
    }


def _zones(settings: config.Config) -> dict[str, tuple[str, ...]]:
    """Camera -> its zones in the order of the config, which is that of the rows of Scene.inside."""
    return {name: tuple(getattr(camera, "zones", ())) for name, camera in settings.cameras.items()}


def _topics(sections: Mapping[str, Any], scope: Scope) -> dict[str, Topic]:
    """The topics that are on, in the order of their names."""
    made: dict[str, Topic] = {}
    for name in sorted({*ALWAYS, *sections}):
        module = plugins.get("publish/topics", name)
        options = sections.get(name) or module.Options()
        if options.enabled:
            made[name] = module.create(options, scope)
    return made


def _without_picture(scene: Scene) -> Scene:
    """Black, but of the same size, and without memory of its own: many of these may wait."""
    image = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), scene.frame.image.shape)
    return replace(scene, frame=replace(scene.frame, image=image))
