"""The MQTT contract on paper, made from the code: `python -m agent.publish.contract docs/mqtt` writes it.

One JSON Schema a payload, an AsyncAPI 3 document, and the table of topics (docs/mqtt/README.md; the project's
README quotes it). A test compares the files with what is made here, and the table with what a broker hears.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent.publish import commands
from agent.publish.payloads import PAYLOADS

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_RECEIVED = "command/<verb>"


@dataclass(frozen=True, slots=True)
class Described:
    """One row of the table; what `under` says stands before `topic`."""

    topic: str
    when: str
    qos: int
    retained: bool
    payload: str  # of PAYLOADS, or words
    kept: bool = False  # by the outbox until the broker has it
    under: str = "lookout/<device>/"


DEVICE_EVENTS = (
    *("gap", "storage_corrupt", "command", "config_changed", "config_rejected"),
    *("accelerator_lost", "accelerator_back", "model_offered", "model_kept", "model_rolled_back"),
)
TOPICS = (
    Described("status", "birth, will, clean stop", 1, True, "`online` / `offline`"),
    Described("health", "every 30 s and when a state changes", 0, False, "health"),
    Described("events", f"events of the device itself: {', '.join(DEVICE_EVENTS)}", 1, False, "event", kept=True),
    Described("model/state", "when it changes, if `[updates]` names a manifest", 1, True, "model"),
    Described("<camera>/status", "when it comes or goes", 1, True, "`online` / `offline`"),
    Described("<camera>/detections", "each frame that has or had something, at most `rate_hz`", 0, False, "detections"),
    Described("<camera>/events", "each event: tracks, zones, lines", 1, False, "event", kept=True),
    Described("<camera>/anomalies", "each anomaly, when it begins and when it is over", 1, False, "anomaly", kept=True),
    Described("<camera>/anomalies/active", "when it changes: how many are going on now", 1, True, "integer"),
    Described("<camera>/events/<id>/snapshot", "a track's best picture at its end, if on", 1, False, "JPEG"),
    Described("<camera>/anomalies/<id>/snapshot", "as one begins: what is strange in red, if on", 1, False, "JPEG"),
    Described("<camera>/second/<name>", "a second look: another name of a track, each at a place", 1, False, "second"),
    Described("<camera>/counts/<zone>/<label>", "when it changes: how many are inside now", 1, True, "integer"),
    Described("<camera>/counts/<name>/<label>/<way>", "when it changes: how many went in or out", 1, True, "integer"),
    Described("<camera>/<setting>/state", "when it is set: detection, confidence, fps, masks", 1, True, "text"),
    Described("<camera>/snapshot", "on command", 1, False, "JPEG"),
    Described("command/<verb>", f"to the agent: {', '.join(commands.VERBS)}", 1, False, "JSON of the verb"),
    Described("command/<verb>/result", "after each command", 1, False, "result"),
    Described("homeassistant/device/lookout_<device>/config", "on connect, if on", 1, True, "discovery", under=""),
    Described("frigate/events", "new, update, end, if on", 1, False, "as Frigate's", under=""),
    Described("frigate/<place>/<label>", "when it changes, if on", 1, True, "integer", under=""),
    Described("frigate/available", "birth and clean stop, if on", 1, True, "`online` / `stopped`", under=""),
)  # fmt: skip


def table() -> str:
    """The rows as Markdown."""
    lines = ["| topic | when | QoS, retained | payload |", "|---|---|---|---|"]
    for row in TOPICS:
        how = f"{row.qos}{', retained' if row.retained else ''}{', outbox' if row.kept else ''}"
        lines.append(f"| `{row.topic}` | {row.when} | {how} | {_linked(row.payload)} |")
    return "\n".join(lines) + "\n"


def address(row: Described) -> str:
    """Described("<camera>/status", ...) -> "lookout/{device}/{camera}/status"."""
    return f"{row.under}{row.topic}".replace("<", "{").replace(">", "}")


def pattern(row: Described) -> re.Pattern[str]:
    """Matches the topics that a row stands for."""
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(address(row))))


def schemas() -> dict[str, dict[str, Any]]:
    """Name -> JSON Schema, of every payload and of every command's arguments."""
    types = {**PAYLOADS, **{f"command-{verb}": kind for verb, kind in commands.VERBS.items()}}
    made: dict[str, dict[str, Any]] = {}
    for name, kind in types.items():
        (schema,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
        own = parts.pop(kind.__name__)
        made[name] = {"$schema": _DRAFT, "$id": f"{name}.schema.json", **own, **({"$defs": parts} if parts else {})}
        assert schema == {"$ref": f"#/$defs/{kind.__name__}"}
    return made


def asyncapi() -> dict[str, Any]:
    """The same as an AsyncAPI 3.0 document."""
    channels, operations = {}, {}
    for row in TOPICS:
        name = re.sub(r"\W+", "_", row.topic).strip("_")
        message: dict[str, Any] = {"summary": row.when}
        if row.payload in PAYLOADS:
            message |= {"contentType": "application/json", "payload": {"$ref": f"./{row.payload}.schema.json"}}
        else:
            message |= {"description": row.payload}
        parameters: dict[str, dict[str, str]] = {key: {} for key in re.findall(r"\{(\w+)\}", address(row))}
        channels[name] = {"address": address(row), "parameters": parameters, "messages": {"message": message}}
        operations[name] = {
            "action": "receive" if row.topic == _RECEIVED else "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "bindings": {"mqtt": {"qos": row.qos, "retain": row.retained, "bindingVersion": "0.2.0"}},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Lookout", "version": "1", "description": "What the agent says and hears over MQTT."},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    }


def files() -> dict[str, str]:
    """Name in docs/mqtt -> text."""
    made = {f"{name}.schema.json": _pretty(schema) for name, schema in schemas().items()}
    made["asyncapi.json"] = _pretty(asyncapi())
    made["README.md"] = _README.format(table=table())
    return made


def main(arguments: Sequence[str]) -> None:
    """Write all of it into a folder."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, "utf-8")


def _linked(payload: str) -> str:
    return f"[{payload}]({payload}.schema.json)" if payload in PAYLOADS else payload


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


_README = """# What Lookout says over MQTT

Made by `python -m agent.publish.contract docs/mqtt`; do not edit. Topics follow `lookout/<device>/` (prefix and
device are configurable), but for those of Home Assistant and Frigate, which are off unless switched on.

{table}
Every JSON has `schema`, `device`, `time` (UTC) and `clock_trusted`. Boxes are 0..1 of the frame, velocities frame
widths and heights per second.

Events are delivered at least once and in order. Each has an `id` that is the same in every delivery (drop those you
know), and a `seq` that rises by 1 over all events of a device: a missing number is an event that was given up, and a
`gap` event says how many and why (`full`, `expired`, `corrupt`, `too large for the broker`, `the broker cuts the
connection on it`). A new `boot_id` is a new run of the agent; if `seq` starts again with it, the agent's storage was
lost. `consumer.py` shows it in 20 lines.

A broker that crashes loses what it has acknowledged unless it is told not to; for mosquitto that is `persistence true`,
`autosave_on_changes true`, `autosave_interval 1`, and `max_queued_messages` for the time a consumer may be away. What
was acknowledged in the last one to two seconds before a connection broke is sent again: no broker saves in an instant.

An anomaly says `active` true when it begins and false, with the same `episode`, when it is over. A run of the agent
that ends takes its open episodes with it: `<camera>/anomalies/active` is 0 again, and `boot_id` another.

Commands are off until `[mqtt.topics.command]` says `enabled = true`; each is answered on `command/<verb>/result` and
kept as a `command` event. `set` changes one camera until it is set otherwise, restarts included; null gives a setting
back to the config. `motion_masks` (polygons 0..1 in which no movement counts) stand in for the config's;
`privacy_masks` (polygons 0..1 that are black in every frame from the next on) are added to the config's, which nobody
can uncover from here. While `detection` is off no frame is looked at, every track ends, and the camera stays online.
`reload` (or SIGHUP) reads agent.toml again: if it is good, it is taken over between two frames, and retained topics
of cameras, zones and lines that went are removed; if not, nothing changes, and a `config_rejected` event and `health`
say file, line and key. A camera whose source, zones and lines are as they were keeps its tracks and counts.
`update_model` takes a file by name and sha256 from `models_dir` on the device, or as `{{"newest": true}}` what the
maker named in `[updates]` offers and has signed; it tries it in a process of its own, takes it over and puts it on
trial. A trial ends after ten minutes of work with a `model_kept` event, or with `model_rolled_back`, which says why,
and the model before running again: outputs that are no numbers or never change, nothing seen where the one before
nearly always saw something, far slower than it. `state_dir`, and the model of an Edge TPU, change only when the agent
starts.

In the broker's access list a device needs `lookout/<device>/#` to write and
`lookout/<device>/command/#` to read; with all of `lookout/<device>/#` to read it also removes what an earlier run left
retained of cameras, zones and lines that are no more.
"""

if __name__ == "__main__":
    main(sys.argv[1:])
