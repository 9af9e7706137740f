"""Find what is wrong on this machine, and how to mend it: software, model, cameras, power, clock, disk, broker.

One line a finding: good (works), poor (works, but not well), broken (does not work), and after the arrow the cure.
Exit code 0 all good, 1 something poor, 2 something broken. Cameras are opened for one frame, so stop the service
first; a message to <prefix>/<device>/doctor shows whether the broker lets this device publish.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from paho.mqtt.enums import MQTTProtocolVersion

from agent import config
from agent.data import LookoutError
from agent.device import doctor
from agent.device.doctor import Finding
from agent.device.health import Board
from agent.pipeline import open_detector
from agent.publish import session as mqtt
from agent.publish import troubles

DEFAULT = Path("/etc/lookout/agent.toml")
ROOMS = ("software", "model", "cameras", "board", "disk", "broker")
_BROKER_S = 8.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=DEFAULT, help=f"agent.toml (default: {DEFAULT})")
    parser.add_argument("--skip", nargs="+", choices=ROOMS, default=[], help="do not look at these")
    parser.add_argument("--json", action="store_true", help="a JSON object a finding")


def run(args: argparse.Namespace) -> int:
    worst = 0
    for finding in examine(args.config, set(ROOMS) - set(args.skip)):
        if args.json:
            print(msgspec.json.encode(finding).decode(), flush=True)
        else:
            cure = f"  → {finding.cure}" if finding.cure else ""
            print(f"{finding.grade:7} {finding.about:16} {finding.text}{cure}", flush=True)
        worst = max(worst, ("good", "poor", "broken").index(finding.grade))
    return worst


def examine(path: Path, rooms: set[str]) -> Iterator[Finding]:
    """All findings; without a config that can be read, those that need none."""
    settings: config.Config | None = None
    try:
        settings = config.load(path)
        yield Finding("config", "good", f"{path}: {len(settings.cameras)} camera(s): {', '.join(settings.cameras)}")
    except LookoutError as error:
        text, _, cure = str(error).partition("; ")
        yield Finding("config", "broken", text, cure)
    if "software" in rooms:
        yield from doctor.software(settings.cameras if settings else {})
    if "model" in rooms and settings:
        known = settings
        yield doctor.model(lambda: open_detector(known, path).model)
    if "cameras" in rooms and settings:
        yield from (doctor.camera(name, options) for name, options in settings.cameras.items())
        yield from doctor.connected({options.kind for options in settings.cameras.values()})
    if "board" in rooms:
        yield from doctor.board(Board())
    if "disk" in rooms:
        yield from doctor.disk(settings.state_dir if settings else config.state_folder())
    if "broker" in rooms and settings:
        yield broker(settings)


def broker(settings: config.Config) -> Finding:
    """Whether it is there, lets this device in, and takes its messages."""
    options = settings.mqtt
    where = f"{options.host}:{options.port}"
    try:
        reason = _published(options, f"{options.prefix}/{settings.device}/doctor", mqtt.V5)
        if reason == troubles.PROTOCOL:
            reason = _published(options, f"{options.prefix}/{settings.device}/doctor", mqtt.V311)
    except (OSError, LookoutError) as error:
        known = troubles.explain(error)
        reason = known[1] if known else str(error)
    if reason:
        return Finding("broker", "broken", f"{where}: {reason}", _CURES.get(reason, "see [mqtt] in the config"))
    return Finding("broker", "good", f"{where} takes messages of this device")


_CURES = {
    "connection refused": "is it running, and does it listen on this address? (mosquitto: `listener 1883`)",
    "no such host name": "see mqtt.host",
    "user name or password not accepted": "see mqtt.username and mqtt.password_file",
}


def _published(options: config.Mqtt, topic: str, version: MQTTProtocolVersion) -> str:
    """Send one message and wait for its receipt; "" or why not. Raises OSError or LookoutError."""
    notes: list[mqtt.Note] = []
    message = mqtt.Outgoing(topic, b"{}", qos=1, token="doctor")  # noqa: S106  a token of ours, not a secret
    session = mqtt.Session(options, f"lookout-doctor-{os.getpid()}", message, version, 0)
    session.begin([], notes.append)
    sent, deadline = False, time.monotonic() + _BROKER_S
    with contextlib.ExitStack() as ending:
        ending.callback(session.end, clean=True)
        while (sock := session.socket()) and time.monotonic() < deadline:
            readable, writable, _ = select.select([sock], [sock] if session.wants_write() else [], [], 0.2)
            session.work(bool(readable), bool(writable))
            if session.online and not sent:
                session.publish(message)
                sent = True
            for note in notes:
                if isinstance(note, mqtt.Refused):
                    return f"refuses {topic}: {note.reason}"
                if isinstance(note, mqtt.Acked):
                    return ""
    if time.monotonic() >= deadline:
        return f"no answer within {_BROKER_S:g} s"
    return session.ending[0] if session.ending[0] == troubles.PROTOCOL else session.ending[1]
