"""Another project's loop, in a process and an environment of its own: python -m tests.bench.peer NAME ...

Runs in tests/bench/.venv-<name> (see `make bench`), so that what it needs is no dependency of ours. Each line on stdin
is a round; the answer is a line of JSON with s of wall time and of CPU time for all frames.

supervision    the tutorial loop's boxes into supervision.Detections, ByteTrack of the package `trackers`
ultralytics    YOLO.predict on a TFLite file that it exported itself (python -m tests.bench.untrained)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import clips, loops

HERE = Path(__file__).parent
UNTRAINED, UNTRAINED_PX = HERE / ".venv-ultralytics" / "yolov8n.tflite", 320
NAMES = ("supervision", "ultralytics")


class Missing(Exception):
    """A peer that cannot run here: why."""


class Peer:
    """The other end of the pipe; `measure` is a round."""

    def __init__(self, name: str, model: Path, threads: int, data: Path, scene: str, frames: int) -> None:
        """Raises Missing."""
        python = HERE / f".venv-{name}" / "bin" / "python"
        if not python.exists():
            raise Missing(f"not installed: no {python.parent.parent.name}")
        options = [name, model, threads, data, scene, frames]
        self._process = subprocess.Popen(
            [python, "-m", "tests.bench.peer", *map(str, options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent.parent,
        )
        self.measure()  # loads and warms up

    def measure(self) -> tuple[float, float]:
        """(s of wall time, s of CPU time) for all frames. Raises Missing where the process has ended."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            print("round", file=self._process.stdin, flush=True)
            wall, used = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, ValueError) as error:
            raise Missing("does not run here") from error
        return wall, used

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def supervision(model: Path, threads: int) -> Callable[[Any], Any]:
    import supervision as sv
    from trackers import ByteTrackTracker

    look, tracker = loops.tutorial(model, threads), ByteTrackTracker()

    def step(bgr: Any) -> Any:
        found = look(bgr)
        rows = np.array(found, np.float64).reshape(-1, 6)
        given = sv.Detections(xyxy=rows[:, :4], confidence=rows[:, 4], class_id=rows[:, 5].astype(int))
        return tracker.update(given)

    return step


def ultralytics(model: Path, threads: int) -> Callable[[Any], Any]:
    os.environ |= {"YOLO_CONFIG_DIR": str(model.parent), "YOLO_AUTOINSTALL": "false"}
    import torch
    from ultralytics import YOLO
    from ultralytics.nn.backends import litert
    from ultralytics.utils.nms import TorchNMS

    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):  # built for another torch: then the NMS that Ultralytics has of its own
        stand_in = types.ModuleType("torchvision")
        stand_in.ops = types.SimpleNamespace(nms=TorchNMS.nms)  # type: ignore[attr-defined]
        sys.modules["torchvision"] = stand_in
    torch.set_num_threads(threads)
    litert.NUM_THREADS = threads
    net = YOLO(str(model), task="detect")
    return lambda bgr: net.predict(bgr, imgsz=UNTRAINED_PX, verbose=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("model", type=Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("data", type=Path)
    parser.add_argument("scene")
    parser.add_argument("frames", type=int)
    args = parser.parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr  # what they have to say is no answer
    step = {"supervision": supervision, "ultralytics": ultralytics}[args.name](args.model, args.threads)
    frames = clips.scenes(args.data, args.frames)[args.scene]
    for _ in sys.stdin:
        print(json.dumps(clips.measure(step, frames)), file=answers, flush=True)


if __name__ == "__main__":
    main()
