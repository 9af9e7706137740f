"""Find what is wrong on this machine, and how to mend it: software, model, cameras, power, clock, disk, broker.

One line a finding: good (works), poor (works, but not well), broken (does not work), and after the arrow the cure.
Exit code 0 all good, 1 something poor, 2 something broken. Cameras are opened for one frame, so stop the service
first; messages to .../doctor under the device, each camera and Home Assistant's device show whether the broker lets
this device publish. Brokers of MQTT 3.1.1, and access lists that drop without a word, cannot be seen through.
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
from agent.device import doctor, software
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
        yield from _software(settings)
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
        yield from broker(settings)


def _software(settings: config.Config | None) -> Iterator[Finding]:
    yield from software.python()
    if settings and any(camera.kind == "picamera" for camera in settings.cameras.values()):
        yield software.picamera2()
    yield from software.coral(settings is not None and settings.model.backend == "edgetpu")


def broker(settings: config.Config) -> Iterator[Finding]:
    """Whether it is there, lets this device in, takes its messages and gives it its commands."""
    options = settings.mqtt
    where = f"{options.host}:{options.port}"
    try:
        reasons = _refusals(settings, mqtt.V5)
        if reasons == [troubles.PROTOCOL]:
            reasons = _refusals(settings, mqtt.V311)
    except (OSError, LookoutError) as error:
        known = troubles.explain(error)
        reasons = [known[1] if known else str(error)]
    for reason in reasons:
        yield Finding("broker", "broken", f"{where}: {reason}", _CURES.get(reason, "see [mqtt] in the config"))
    if not reasons:
        yield Finding("broker", "good", f"{where} takes messages of this device")


_CURES = {
    "connection refused": "is it running, and does it listen on this address? (mosquitto: `listener 1883`)",
    "no such host name": "see mqtt.host",
    "user name or password not accepted": "see mqtt.username and mqtt.password_file",
}


def _touched(settings: config.Config) -> tuple[list[str], list[str]]:
    """A topic in each place that the agent writes to, where nobody minds a message; and what it listens to.

    An access list may speak of the device, of each camera, and of Home Assistant.
    """
    options, device = settings.mqtt, f"{settings.mqtt.prefix}/{settings.device}"
    written = [f"{device}/doctor", *(f"{device}/{camera}/doctor" for camera in settings.cameras)]
    if (assistant := options.topics.get("homeassistant")) and assistant.enabled:
        written.append(f"{assistant.prefix}/device/lookout_{settings.device}/doctor")
    commands = options.topics.get("command")
    return written, [f"{device}/command/+"] if commands and commands.enabled else []


def _refusals(settings: config.Config, version: MQTTProtocolVersion) -> list[str]:
    """What the broker does not let this device do, by one message to each place; raises OSError or LookoutError."""
    topics, heard = _touched(settings)
    reasons: list[str] = []
    waiting = set(topics)

    def note(answer: mqtt.Note) -> None:
        match answer:
            case mqtt.Refused(topic, reason):
                waiting.discard(str(topic))
                reasons.append(f"refuses {topic}: {reason}")
            case mqtt.Unheard(topic, reason):
                reasons.append(f"does not let this device listen to {topic}: {reason}")
            case mqtt.Acked(done):
                waiting.difference_update(map(str, done))

    will = mqtt.Outgoing(topics[0], b"{}")
    session = mqtt.Session(settings.mqtt, f"lookout-doctor-{os.getpid()}", will, version, 0)
    session.begin(heard, note)
    sent, deadline = False, time.monotonic() + _BROKER_S
    with contextlib.ExitStack() as ending:
        ending.callback(session.end, clean=True)
        while (sock := session.socket()) and time.monotonic() < deadline:
            readable, writable, _ = select.select([sock], [sock] if session.wants_write() else [], [], 0.2)
            session.work(bool(readable), bool(writable))
            if session.online and not sent:
                for topic in topics:  # a broker answers in order: what it says to the subscriptions comes first
                    session.publish(mqtt.Outgoing(topic, b"{}", qos=1, token=topic))
                sent = True
            if not waiting:
                return reasons
    if time.monotonic() >= deadline:
        return [*reasons, f"no answer within {_BROKER_S:g} s"]
    return [session.ending[0] if session.ending[0] == troubles.PROTOCOL else session.ending[1]]
