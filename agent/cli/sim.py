"""Try it here: the agent on a street clip, a webcam or a made-up scene, with an embedded MQTT broker.

The same pipeline as `run`, with what a board and a broker would be standing in: a clip fetched once from Debian's
archive, a broker on this machine only, and a subscriber that shows what arrives. Exit code 1 if nothing arrived.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent import config
from agent.data import LookoutError
from agent.pipeline import Pipeline, open_detector, stopped_by_signals
from agent.publish.publisher import Publisher
from agent.sim import clip
from agent.sim.broker import Broker
from agent.sim.render import Counters
from agent.sim.view import View

log = logging.getLogger(__name__)
_CAMERA = "street"
_NETWORK = ("rtsp://", "rtsps://", "http://", "https://")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", help="clip, webcam number, rtsp://... or synthetic (default: a street clip)")
    parser.add_argument("--model", type=Path, help="a .tflite file (default: the shipped one)")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels of a model that carries none, one a line")
    parser.add_argument("--broker", type=_address, metavar="HOST:PORT", help="a broker of yours, not the embedded one")
    parser.add_argument("--seconds", type=float, help="stop after so long (default: at the end of the source)")
    parser.add_argument("--speed", choices=("realtime", "max"), default="realtime", help="max: every frame, flat out")


def run(args: argparse.Namespace) -> int:
    camera = source(args.source, args.speed)
    with _broker(args.broker) as (host, port), tempfile.TemporaryDirectory(prefix="lookout-sim-") as state:
        settings = msgspec.structs.replace(_settings(args, camera, host, port), state_dir=Path(state))
        detector = open_detector(settings)
        with View(host, port, settings.device) as view, Publisher(settings, detector.model) as publisher:
            pipeline = Pipeline(settings, detector, [publisher])
            with stopped_by_signals(pipeline):
                _run(pipeline, args.speed, args.seconds)
        tally = pipeline.tally
        return view.finish(
            Counters(tally.frames, tally.dropped, tally.detections, tally.tracks, times_ms=tally.mean_ms())
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


def _run(pipeline: Pipeline, speed: str, seconds: float | None) -> None:
    if speed == "realtime":
        pipeline.run(seconds)
        return
    timer = threading.Timer(seconds or threading.TIMEOUT_MAX, lambda: setattr(pipeline, "stopping", True))
    timer.daemon = True
    timer.start()
    for _ in pipeline.replay(_CAMERA):
        pass
    timer.cancel()


def _settings(args: argparse.Namespace, camera: config.Camera, host: str, port: int) -> config.Config:
    model = config.Model(file=args.model or config.shipped(config.DEFAULT_MODEL), labels_file=args.labels)
    return config.Config(cameras={_CAMERA: camera}, model=model, mqtt=config.Mqtt(host=host, port=port))


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
