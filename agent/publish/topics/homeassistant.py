"""Home Assistant finds this agent by itself: one retained message says which entities there are and where they speak.

homeassistant/device/lookout_<device>/config (home-assistant.io/integrations/mqtt, "device discovery", since 2024.11):
counts and occupancy per zone; last event, anomaly and picture per camera; health of the board; switches, numbers and
the model's update where commands are allowed. Offered again when Home Assistant says that it has started. What the last
offer had and this one has not is named once more as removed, so that no ghosts stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent import __version__
from agent.data import NOT_JSON
from agent.publish import JSON, Message, Received, Scope, State, Topic

Component = dict[str, Any]
_EXPIRE_S = 100  # health comes every 30 s; three missed and the value counts as unknown


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.topics.homeassistant]."""

    enabled: bool = True
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "homeassistant"
    labels: tuple[str, ...] = ("person",)  # what gets a counter of its own in each zone, beside "all"


def create(options: Options, scope: Scope) -> Topic:
    """Off unless its section stands in the config."""
    return _HomeAssistant(options, scope)


class _HomeAssistant(Topic):
    hears_retained = True  # the last run's offer

    def __init__(self, options: Options, scope: Scope) -> None:
        self._scope = scope
        self._birth = f"{options.prefix}/status"
        self._config = f"{options.prefix}/device/lookout_{scope.sender.device}/config"
        self.subscriptions = (self._birth, self._config)
        self._offer = offer(scope, options.labels)
        self._removed: dict[str, Component] = {}

    def connected(self) -> Iterable[Message]:
        return (self._message(),)

    def received(self, message: Received) -> Iterable[Message]:
        if message.topic == self._birth:
            return (self._message(),) if message.payload == b"online" and not message.retained else ()
        if message.topic != self._config or not message.retained:
            return ()
        gone = _components(message.payload).keys() - self._offer["components"].keys() - self._removed.keys()
        if not gone:
            return ()
        before = _components(message.payload)
        self._removed |= {name: {"platform": before[name]} for name in sorted(gone)}
        return (self._message(),)

    def _message(self) -> Message:
        whole = {**self._offer, "components": {**self._offer["components"], **self._removed}}
        return State(self._config, msgspec.json.encode(whole), JSON)


def offer(scope: Scope, labels: Iterable[str]) -> dict[str, Any]:
    """The whole discovery message."""
    device = scope.sender.device
    components = _board(scope)
    for camera in scope.cameras:
        components |= _camera(scope, camera)
        for zone in scope.zones.get(camera, ()):
            components |= _zone(scope, camera, zone, labels)
        for name in scope.second.get(camera, ()):
            components |= _second(scope, camera, name)
        if "set" in scope.obeys:
            components |= _controls(scope, camera)
    if scope.offers and "update_model" in scope.obeys:
        components |= _update(scope)
    for name, component in components.items():
        component["unique_id"] = f"lookout_{device}_{name}"
    return {
        "device": {
            "identifiers": [f"lookout_{device}"],
            "name": f"Lookout {device}",
            "manufacturer": "Lookout",
            "model": scope.sender.model.name,
            "sw_version": __version__,
        },
        "origin": {"name": "Lookout", "sw_version": __version__},
        "availability": [{"topic": scope.topic("status")}],
        "availability_mode": "all",
        "qos": 1,
        "components": components,
    }


def _board(scope: Scope) -> dict[str, Component]:
    health: Component = {"platform": "sensor", "state_topic": scope.topic("health"), "expire_after": _EXPIRE_S}
    numbers = {
        "fps": ("Frames per second", {"unit_of_measurement": "fps", "state_class": "measurement"}),
        "soc_c": ("Temperature", {"device_class": "temperature", "unit_of_measurement": "°C"}),
        "events_waiting": ("Events waiting", {"state_class": "measurement"}),
    }
    sensors = {
        key: {**health, "name": name, "value_template": f"{{{{ value_json.{key} }}}}", **more}
        | {"entity_category": "diagnostic"}
        for key, (name, more) in numbers.items()
    }
    trouble = {
        **health,
        "platform": "binary_sensor",
        "name": "Outbox",
        "device_class": "problem",
        "value_template": "{{ 'OFF' if value_json.outbox == 'ok' else 'ON' }}",
        "entity_category": "diagnostic",
    }
    return {**sensors, "outbox": trouble}


def _camera(scope: Scope, camera: str) -> dict[str, Component]:
    online = {
        "platform": "binary_sensor",
        "name": f"{camera} online",
        "device_class": "connectivity",
        "state_topic": scope.topic(camera, "status"),
        "payload_on": "online",
        "payload_off": "offline",
        "entity_category": "diagnostic",
    }
    last = {
        "platform": "sensor",
        "name": f"{camera} last event",
        "state_topic": scope.topic(camera, "events"),
        "value_template": "{{ value_json.kind }}",
        "json_attributes_topic": scope.topic(camera, "events"),
        **_available(scope, camera),
    }
    anomaly = {
        "platform": "binary_sensor",
        "name": f"{camera} anomaly",
        "device_class": "problem",
        "state_topic": scope.topic(camera, "anomalies", "active"),
        "value_template": "{{ 'ON' if value | int > 0 else 'OFF' }}",
        "json_attributes_topic": scope.topic(camera, "anomalies"),
        **_available(scope, camera),
    }
    return {f"{camera}_online": online, f"{camera}_last_event": last, f"{camera}_anomaly": anomaly}


def _zone(scope: Scope, camera: str, zone: str, labels: Iterable[str]) -> dict[str, Component]:
    counts = {
        f"{camera}_{zone}_{label}".replace(" ", "_"): {
            "platform": "sensor",
            "name": f"{camera} {zone} {label}",
            "state_topic": scope.topic(camera, "counts", zone, label.replace(" ", "_")),
            "state_class": "measurement",
            **_available(scope, camera),
        }
        for label in ("all", *labels)
    }
    occupied = {
        "platform": "binary_sensor",
        "name": f"{camera} {zone} occupied",
        "device_class": "occupancy",
        "state_topic": scope.topic(camera, "counts", zone, "all"),
        "value_template": "{{ 'ON' if value | int > 0 else 'OFF' }}",
        **_available(scope, camera),
    }
    return {**counts, f"{camera}_{zone}_occupied": occupied}


def _second(scope: Scope, camera: str, name: str) -> dict[str, Component]:
    """What a second look says; the rest of its message as attributes."""
    topic = scope.topic(camera, "second", name)
    sensor = {
        "platform": "sensor",
        "name": f"{camera} {name}",
        "state_topic": topic,
        "value_template": "{{ 'unknown' if value_json.value is none else value_json.value }}",
        "json_attributes_topic": topic,
        **_available(scope, camera),
    }
    return {f"{camera}_second_{name}": sensor}


def _controls(scope: Scope, camera: str) -> dict[str, Component]:
    switch = {
        "platform": "switch",
        "name": f"{camera} detection",
        "command_topic": scope.topic("command", "set"),
        "state_topic": scope.topic(camera, "detection", "state"),
        "state_on": "ON",
        "state_off": "OFF",
        "payload_on": f'{{"camera": "{camera}", "detection": true}}',
        "payload_off": f'{{"camera": "{camera}", "detection": false}}',
    }
    picture = {
        "platform": "image",
        "name": f"{camera} snapshot",
        "image_topic": scope.topic(camera, "snapshot"),
        "content_type": "image/jpeg",
    }
    button = {
        "platform": "button",
        "name": f"{camera} take snapshot",
        "command_topic": scope.topic("command", "snapshot"),
        "payload_press": f'{{"camera": "{camera}"}}',
    }
    available, config = _available(scope, camera), {"entity_category": "config"}
    return {
        f"{camera}_detection": {**switch, **config, **available},
        f"{camera}_confidence": _number(scope, camera, "confidence", "confidence", (0.05, 0.95, 0.05)),
        f"{camera}_fps": _number(scope, camera, "fps", "frames per second", (0.5, 60.0, 0.5)),
        f"{camera}_snapshot": {**picture, **available},
        f"{camera}_take_snapshot": {**button, **available},
    }


def _update(scope: Scope) -> dict[str, Component]:
    """It takes these two of the state's keys, and complains of others."""
    keys = ", ".join(f"'{key}': value_json.{key}" for key in ("installed_version", "latest_version"))
    update = {
        "platform": "update",
        "name": "Model",
        "state_topic": scope.topic("model", "state"),
        "value_template": f"{{{{ {{{keys}}} | to_json }}}}",
        "command_topic": scope.topic("command", "update_model"),
        "payload_install": '{"newest": true}',
        "entity_category": "config",
    }
    return {"model": update}


def _number(scope: Scope, camera: str, key: str, name: str, limits: tuple[float, float, float]) -> Component:
    return {
        "platform": "number",
        "name": f"{camera} {name}",
        "command_topic": scope.topic("command", "set"),
        "command_template": f'{{"camera": "{camera}", "{key}": {{{{ value }}}}}}',
        "state_topic": scope.topic(camera, key, "state"),
        "value_template": "{{ 'None' if value == 'default' else value }}",
        "entity_category": "config",
        **dict(zip(("min", "max", "step"), limits, strict=True)),
        **_available(scope, camera),
    }


def _available(scope: Scope, camera: str) -> Component:
    """Only while both the agent and the camera are there."""
    return {
        "availability": [{"topic": scope.topic("status")}, {"topic": scope.topic(camera, "status")}],
        "availability_mode": "all",
    }


def _components(payload: bytes) -> dict[str, str]:
    """name -> platform of what an offer really offered; empty for what is no offer."""
    try:
        found = msgspec.json.decode(payload)["components"]
        return {name: one["platform"] for name, one in found.items() if len(one) > 1}
    except (*NOT_JSON, KeyError, TypeError, AttributeError):
        return {}
