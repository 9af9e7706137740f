"""Time a model on this board: what it takes alone, and what the whole agent makes of it.

raw         the model alone: invokes a second, nothing else
end to end  letterbox, model, boxes, tracks, zones: frames a second, without a camera's decoding and without MQTT
÷ raw       the second by the first: 1 = everything but the model costs nothing (mode full, one look a frame)

Rounds of both take turns, the table has their medians. Times of a stage are those of single frames.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import resource
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np

from agent import config
from agent.cli.sim import source
from agent.data import CameraState, Frame, LookoutError, Scene
from agent.detect.model import Model
from agent.detect.watch import Watch
from agent.device.health import Board
from agent.pipeline import Pipeline, frames_of, open_detector

_CAMERA = "bench"
_LIBRARIES = ("ai-edge-litert", "tflite-runtime", "numpy", "opencv-python-headless")


class Stage(msgspec.Struct, frozen=True):
    """ms of one stage over all frames."""

    p50: float
    p99: float


class Result(msgspec.Struct, frozen=True):
    """One number of threads."""

    threads: int
    runs_on: str  # "xnnpack", "cpu", "edgetpu ..."
    raw_fps: float
    fps: float
    share: float  # fps / raw_fps
    invokes: float  # a frame, mean
    stages_ms: dict[str, Stage]


class Report(msgspec.Struct, frozen=True):
    """What --json writes."""

    date: str  # UTC
    machine: str
    versions: dict[str, str]
    model: str
    mode: str
    size: tuple[int, int]  # (width, height) px of the frames
    frames: int
    rounds: int
    results: list[Result]
    peak_rss_mb: float  # of this process, all thread counts together
    soc_c: float | None  # °C at the end


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="a .tflite file (default: the shipped one)")
    parser.add_argument("--backend", default="tflite", help="tflite or edgetpu (default: tflite)")
    parser.add_argument("--source", default="synthetic", help="a clip (default: a made-up scene)")
    parser.add_argument("--mode", choices=("full", "regions"), default="full", help="(default: full)")
    parser.add_argument("--frames", type=_count, default=60, help="of the source, in every round (default: 60)")
    parser.add_argument("--rounds", type=_count, default=5, help="(default: 5)")
    parser.add_argument(
        "--threads", type=_count, nargs="+", help="to try (default: 1 to the number of cores, at most 4)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")


def run(args: argparse.Namespace) -> int:
    frames = list(itertools.islice(frames_of(source(args.source, "max")), args.frames))
    file = args.model or config.shipped(config.DEFAULT_MODEL)
    board, tried = Board(), args.threads or range(1, min(4, os.cpu_count() or 1) + 1)
    report = Report(
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine=f"{board.model() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        versions=_versions(),
        model=file.name,
        mode=args.mode,
        size=frames[0].size,
        frames=len(frames),
        rounds=args.rounds,
        results=[_measured(_settings(file, args.backend, n, args.mode), frames, args.rounds) for n in tried],
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        soc_c=board.temperature(),
    )
    print(table(report))
    if args.json:
        try:
            args.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        except OSError as error:
            raise LookoutError(f"output {args.json}: {error.strerror}; the table above is all there is") from error
    return 0


def table(report: Report) -> str:
    """The report for people."""
    width, height = report.size
    lines = [
        f"{report.model} on {report.machine}",
        f"{report.frames} frames of {width}x{height}, mode {report.mode}, median of {report.rounds} rounds",
        f"\n{'threads':>7}  {'runs on':10}{'raw fps':>9}{'end to end':>12}{'÷ raw':>7}{'invokes':>9}",
        *(
            f"{r.threads:7}  {r.runs_on:10}{r.raw_fps:9.1f}{r.fps:12.1f}{r.share:7.2f}{r.invokes:9.2f}"
            for r in report.results
        ),
    ]
    best = max(report.results, key=lambda r: r.fps)
    lines.append(f"\nms a frame, threads = {best.threads}\n{'':10}{'p50':>8}{'p99':>8}")
    lines += [f"{name:10}{stage.p50:8.2f}{stage.p99:8.2f}" for name, stage in best.stages_ms.items()]
    heat = "" if report.soc_c is None else f", {report.soc_c:.0f} °C"
    return "\n".join([*lines, f"\npeak memory {report.peak_rss_mb:.0f} MB{heat}"])


class _Heard:
    """What each frame took."""

    def __init__(self, detector: Watch) -> None:
        self.times: list[dict[str, float]] = []  # ms by stage
        self.invokes = 0
        self._detector = detector

    def on_scene(self, scene: Scene) -> None:
        self.times.append(dict(scene.times))
        self.invokes += self._detector.invokes

    def on_camera(self, state: CameraState) -> None:
        pass


def _settings(file: Path, backend: str, threads: int, mode: str) -> config.Config:
    return config.Config(
        cameras={_CAMERA: config.camera("synthetic")},
        model=config.Model(file=file, backend=backend, threads=threads),
        detect=msgspec.convert({"mode": mode}, config.Detect),
    )


def _measured(settings: config.Config, frames: Sequence[Frame], rounds: int) -> Result:
    wanted = settings.model
    alone = Model(wanted.file, backend=wanted.backend, threads=wanted.threads).backend
    detector = open_detector(settings)
    heard = _Heard(detector)
    pipeline = Pipeline(settings, detector, [heard])
    period = frames[-1].t - frames[0].t + 0.1  # s: every round is a later one
    raw, fps = [], []
    for number in range(rounds + 1):  # the first one warms up
        begin = time.perf_counter()
        for _ in frames:
            alone.run()
        raw.append(len(frames) / (time.perf_counter() - begin))
        begin = time.perf_counter()
        for n, frame in enumerate(frames):
            later = Frame(frame.image, number * len(frames) + n, frame.t + number * period)
            pipeline.hear((_CAMERA, later))
        pipeline.hear(None)  # the last one is still under way
        fps.append(len(frames) / (time.perf_counter() - begin))
    times = heard.times
    stages = {
        name: Stage(*(round(float(v), 3) for v in np.percentile([t[name] for t in times[len(frames) :]], (50, 99))))
        for name in times[0]
    }
    bound, whole = statistics.median(raw[1:]), statistics.median(fps[1:])
    return Result(
        threads=wanted.threads,
        runs_on=alone.runs_on,
        raw_fps=round(bound, 2),
        fps=round(whole, 2),
        share=round(whole / bound, 3),
        invokes=round(heard.invokes / len(times), 3),
        stages_ms=stages,
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)
