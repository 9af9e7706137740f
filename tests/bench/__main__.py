"""python -m tests.bench [--rounds N] [--frames N] [--json FILE]: what the pipeline costs beside hand-written loops.

All contenders run in one process, in turns (ABBA), on the same frames, model file, threads and thresholds; the table
gives medians over the rounds, and ratios, because milliseconds of a shared machine mean little. `ours` is the whole
pipeline with tracker, zones and an MQTT publisher connected to a real mosquitto.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import msgspec

from agent import config
from agent.data import Frame, LookoutError
from agent.pipeline import Pipeline, open_detector
from agent.publish.publisher import Publisher
from tests.bench import clips, loops
from tests.bench.peer import UNTRAINED, Missing, Peer
from tests.conftest import ROOT
from tests.fakes.mosquitto import Broker

MODEL = config.shipped(config.DEFAULT_MODEL)


def ours(mode: str, port: int, folder: Path, threads: int, model: Path = MODEL) -> Callable[[Any], Any]:
    """The agent's own pipeline, fed frame by frame at 10 fps of clip time, as its loop is when frames wait."""
    settings = config.Config(
        device=f"bench-{folder.name}-{mode}",  # two of one name would throw each other off the broker
        cameras={"bench": config.camera("synthetic")},
        model=config.Model(file=model, threads=threads),
        detect=config.Detect(mode=mode),  # type: ignore[arg-type]
        mqtt=config.Mqtt(port=port),
        state_dir=folder / mode,
    )
    detector = open_detector(settings)
    publisher = Publisher(settings, detector.model)
    publisher.start()
    pipeline, seq = Pipeline(settings, detector, [publisher]), 0

    def step(bgr: Any) -> Any:
        nonlocal seq
        seq += 1
        pipeline.hear(("bench", Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), seq, seq / 10)))

    return step


def rounds(
    contenders: dict[str, Callable[[Any], Any]], peers: dict[str, Peer], frames: list[Any], count: int
) -> dict[str, dict[str, float]]:
    """Medians per contender: fps, CPU ms a frame, and the spread of fps between rounds."""
    turns: dict[str, Callable[[], tuple[float, float]]] = {
        name: functools.partial(clips.measure, step, frames) for name, step in contenders.items()
    }
    turns |= {name: one.measure for name, one in peers.items()}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in turns}
    for number in range(count):
        for name in turns if number % 2 == 0 else reversed(turns):
            taken[name].append(turns[name]())
    table = {}
    for name, pairs in taken.items():
        fps = [len(frames) / wall for wall, _ in pairs]
        table[name] = {
            "fps": statistics.median(fps),
            "fps_min": min(fps),
            "fps_max": max(fps),
            "cpu_ms": statistics.median(cpu for _, cpu in pairs) / len(frames) * 1e3,
        }
    return table


def opened(args: argparse.Namespace, scene: str) -> tuple[dict[str, Peer], dict[str, str]]:
    """The peers that run here, and why the others do not."""
    run, missing = {}, {}
    try:
        run["supervision"] = Peer("supervision", MODEL, args.threads, args.data, scene, args.frames)
    except Missing as error:
        missing["supervision"] = str(error)
    return run, missing


def theirs(args: argparse.Namespace, frames: list[Any], port: int, folder: Path) -> dict[str, dict[str, float]]:
    """Ultralytics and ours on a file that it exported itself; raises Missing, or LookoutError where we refuse it."""
    one = Peer("ultralytics", UNTRAINED, args.threads, args.data, "busy", args.frames)
    try:
        contenders = {
            "raw": loops.raw(UNTRAINED, args.threads),
            "ours full": ours("full", port, folder / "untrained", args.threads, UNTRAINED),
        }
        return rounds(contenders, {"ultralytics": one}, frames, args.rounds)
    finally:
        one.close()


def show(title: str, table: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}\n{'':14}{'fps':>8}{'min':>8}{'max':>8}{'÷ raw':>8}{'CPU ms/frame':>14}")
    for name, row in table.items():
        share = row["fps"] / table["raw"]["fps"]
        print(f"{name:14}{row['fps']:8.1f}{row['fps_min']:8.1f}{row['fps_max']:8.1f}{share:8.2f}{row['cpu_ms']:14.1f}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=ROOT / "tests" / ".artifacts" / "bench.json")
    return parser.parse_args()


def main() -> None:
    args = parsed()
    scenes = clips.scenes(args.data, args.frames)
    result: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{platform.machine()}, {platform.processor() or 'unknown'}, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("ai-edge-litert", "numpy", "opencv-python-headless")},
        "model": MODEL.name,
    }
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder)).start()
        for scene, frames in scenes.items():
            contenders = {
                "raw": loops.raw(MODEL, args.threads),
                "tutorial": loops.tutorial(MODEL, args.threads),
                "pycoral-style": loops.pycoral(MODEL, args.threads),
                "ours full": ours("full", broker.port, Path(folder) / scene, args.threads),
                "ours regions": ours("regions", broker.port, Path(folder) / scene, args.threads),
            }
            for step in contenders.values():
                clips.measure(step, frames[:5])
            peers, missing = opened(args, scene)
            result[scene] = rounds(contenders, peers, frames, args.rounds)
            for one in peers.values():
                one.close()
            show(f"{scene}: {len(frames)} frames, {args.rounds} rounds", result[scene])
            result["not_run"] = missing
            for name, why in missing.items():
                print(f"{name:14}{why}")
        try:
            result["ultralytics"] = theirs(args, scenes["busy"], broker.port, Path(folder))
            show("busy, with an untrained yolov8n that Ultralytics exported (float32)", result["ultralytics"])
        except (Missing, LookoutError) as error:
            result["not_run"]["ultralytics"] = str(error)
            print(f"{'ultralytics':14}{error}")
        broker.kill()
    result["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_bytes(msgspec.json.format(json.dumps(result).encode(), indent=1))
    print(f"\nwrote {args.json}", file=sys.stderr)


if __name__ == "__main__":
    main()
