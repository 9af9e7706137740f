"""python -m tests.bench [--rounds N] [--frames N] [--json FILE]: what the pipeline costs beside hand-written loops.

All contenders run in one process, in turns (ABBA), on the same frames, model file, threads and thresholds; the table
gives medians over the rounds, and ratios, because milliseconds of a shared machine mean little. `ours` is the whole
pipeline with tracker, zones and an MQTT publisher connected to a real mosquitto.
"""

from __future__ import annotations

import argparse
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
import numpy as np

from agent import config
from agent.data import Frame
from agent.pipeline import Pipeline, open_detector
from agent.publish.publisher import Publisher
from tests.bench import loops
from tests.conftest import ROOT
from tests.fakes.mosquitto import Broker

MODEL = config.shipped(config.DEFAULT_MODEL)


def frames_of(clip: Path, count: int) -> list[Any]:
    reader, frames = cv2.VideoCapture(str(clip)), []
    while len(frames) < count:
        good, image = reader.read()
        if not good:
            break
        frames.append(image)
    return frames


def still(image: Any, count: int) -> list[Any]:
    """One picture again and again, with a sensor's noise of two grey levels."""
    rng = np.random.default_rng(0)
    return [
        np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8) for _ in range(min(count, 20))
    ] * max(1, count // 20)


def ours(mode: str, port: int, folder: Path, threads: int) -> Callable[[Any], Any]:
    """The agent's own pipeline, fed frame by frame at 10 fps of clip time."""
    settings = config.Config(
        device=f"bench-{folder.name}-{mode}",  # two of one name would throw each other off the broker
        cameras={"bench": config.camera("synthetic")},
        model=config.Model(file=MODEL, threads=threads),
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
        return pipeline.look("bench", Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), seq, seq / 10))

    return step


def measure(step: Callable[[Any], Any], frames: list[Any]) -> tuple[float, float]:
    """(s of wall time, s of CPU time of all threads) for all frames."""
    begin, used = time.perf_counter(), time.process_time()
    for frame in frames:
        step(frame)
    return time.perf_counter() - begin, time.process_time() - used


def rounds(contenders: dict[str, Callable[[Any], Any]], frames: list[Any], count: int) -> dict[str, dict[str, float]]:
    """Medians per contender: fps, CPU ms a frame, and the spread of fps between rounds."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for number in range(count):
        names = list(contenders) if number % 2 == 0 else list(reversed(contenders))
        for name in names:
            taken[name].append(measure(contenders[name], frames))
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


def show(title: str, table: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}\n{'':14}{'fps':>8}{'min':>8}{'max':>8}{'÷ raw':>8}{'CPU ms/frame':>14}")
    for name, row in table.items():
        share = row["fps"] / table["raw"]["fps"]
        print(f"{name:14}{row['fps']:8.1f}{row['fps_min']:8.1f}{row['fps_max']:8.1f}{share:8.2f}{row['cpu_ms']:14.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=ROOT / "tests" / ".artifacts" / "bench.json")
    args = parser.parse_args()
    busy = frames_of(args.data / "video" / "vtest.avi", args.frames)
    sparse = frames_of(args.data / "video" / "car-detection.mp4", args.frames)
    scenes = {"busy": busy, "sparse": sparse, "still": still(busy[0], args.frames)}
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
            measure(contenders["ours full"], frames[:5])
            result[scene] = rounds(contenders, frames, args.rounds)
            show(f"{scene}: {len(frames)} frames, {args.rounds} rounds", result[scene])
        broker.kill()
    result["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_bytes(msgspec.json.format(json.dumps(result).encode(), indent=1))
    print(f"\nwrote {args.json}", file=sys.stderr)


if __name__ == "__main__":
    main()
