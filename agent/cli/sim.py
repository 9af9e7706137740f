"""Try it here: the agent on a street clip, a webcam or a made-up scene, with an embedded MQTT broker.

The same agent as `run`, with what a board and a broker would be standing in: a clip fetched once from Debian's
archive, a broker on this machine only, a subscriber that shows what arrives, and a config of its own, on which the
live page draws; it is gone at the end. Exit code 1 if nothing arrived.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from agent import config, modelfile
from agent.data import LookoutError
from agent.device.updates import Store
from agent.pipeline import stopped_by_signals
from agent.reload import Live
from agent.sections import Web
from agent.sim import clip, render
from agent.sim.broker import Broker
from agent.sim.view import View
from agent.track.counters import Counters

log = logging.getLogger(__name__)
_CAMERA = "street"
_NETWORK = ("rtsp://", "rtsps://", "http://", "https://")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", help="clip, webcam number, rtsp://... or synthetic (default: a street clip)")
    parser.add_argument("--model", type=Path, help="a .tflite file (default: the shipped one)")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels of a model that carries none, one a line")
    parser.add_argument("--second", type=Path, metavar="FILE", help="a classifier that looks again at what was found")
    parser.add_argument("--of", action="append", metavar="LABEL", help="at these only (default: all that are found)")
    parser.add_argument("--broker", type=_address, metavar="HOST:PORT", help="a broker of yours, not the embedded one")
    parser.add_argument("--seconds", type=float, help="stop after so long (default: at the end of the source)")
    parser.add_argument("--speed", choices=("realtime", "max"), default="realtime", help="max: every frame, flat out")
    parser.add_argument("--loop", action="store_true", help="begin a clip again at its end")
    parser.add_argument("--no-page", action="store_true", help="without the live page")


def run(args: argparse.Namespace) -> int:
    camera = source(args.source, args.speed)
    if args.loop and hasattr(camera.options, "loop"):
        camera = msgspec.structs.replace(camera, options=msgspec.structs.replace(camera.options, loop=True))
    with _broker(args.broker) as (host, port), tempfile.TemporaryDirectory(prefix="lookout-sim-") as folder:
        path = Path(folder, "agent.toml")
        path.write_text(_text(args, camera, host, port, Path(folder)), "utf-8")
        settings = config.load(path)
        with Counters(settings.state_dir) as counters:
            live = Live(path, settings, Store(settings.state_dir / "models"), counters)
            if live.page:
                print(f"Live page: {live.page.url}", flush=True)
            with View(host, port, settings.device) as view, live, stopped_by_signals(live.pipeline):
                _run(live, args.speed, args.seconds)
        tally = live.pipeline.tally
        return view.finish(
            render.Counters(tally.frames, tally.dropped, tally.detections, tally.tracks, times_ms=tally.mean_ms())
        )


def source(text: str | None, pace: str) -> config.Camera:
    """What --source names, as a camera. Raises LookoutError: a clip that is not there."""
    if text is None:
        try:
            return config.camera("file", path=clip.default_clip(), pace=pace)
        except LookoutError as error:
            log.warning("%s", error)
            text = "synthetic"
    if text == "synthetic":
        return config.camera("synthetic", pace=pace)
    if text.isdigit():
        return config.camera("v4l2", device=int(text))
    if text.startswith(_NETWORK):
        return config.camera("rtsp", url=text)
    if text.startswith("/dev/"):
        return config.camera("v4l2", device=text)
    return config.camera("file", path=Path(text), pace=pace)


def _run(live: Live, speed: str, seconds: float | None) -> None:
    if speed == "realtime":
        live.pipeline.run(seconds, beat=live)
        return
    timer = threading.Timer(seconds or threading.TIMEOUT_MAX, lambda: setattr(live.pipeline, "stopping", True))
    timer.daemon = True
    timer.start()
    for _ in live.pipeline.replay(_CAMERA):
        live()
    timer.cancel()


def _text(args: argparse.Namespace, camera: config.Camera, host: str, port: int, folder: Path) -> str:
    """An agent.toml."""
    options = msgspec.to_builtins(camera.options, enc_hook=str)
    sections: dict[str, dict[str, Any]] = {
        "": {"state_dir": str(folder)},
        f"cameras.{_CAMERA}": {"kind": camera.kind, **options},
        "model": {"file": args.model or config.shipped(config.DEFAULT_MODEL), "labels_file": args.labels},
        "second.look": _second(args) if args.second else {},
        "thermal": {"enabled": False},  # a desktop is cooled otherwise
        "mqtt": {"host": host, "port": port},
        "web": {"enabled": not args.no_page, "port": _free(Web().port)},
    }
    lines = ["# What this simulation runs on. It lies in a folder that is gone at its end."]
    for name, keys in sections.items():
        lines += ["", f"[{name}]"] if name and keys else []
        for key, value in keys.items():
            if value is not None:
                told = str(value.absolute()) if isinstance(value, Path) else value
                lines.append(f"{key} = {json.dumps(told, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _second(args: argparse.Namespace) -> dict[str, Any]:
    """A [second.NAME]. Raises LookoutError: the model does not say what it finds."""
    card = modelfile.read(args.model or config.shipped(config.DEFAULT_MODEL)).card
    if not (args.of or card):
        raise LookoutError(f"--second: {args.model} does not say what it finds; name it: --of LABEL")
    return {
        "kind": "classify",
        "file": args.second,
        "labels": args.of or (card.labels if card else ()),
        "per_second": 5,
    }


def _free(port: int) -> int:
    """This port, or 0, any, if somebody else has it."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


@contextlib.contextmanager
def _broker(own: tuple[str, int] | None) -> Iterator[tuple[str, int]]:
    if own:
        yield own
        return
    with Broker() as broker:
        yield broker.host, broker.port


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, not {text!r}")
    return host, int(port)
