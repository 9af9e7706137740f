"""python -m tests.bench.anomalies_pets DATA: real walks (PETS 2009), and somebody who does not belong.

The ground truth of the clip goes through the real pipeline by the `replay` backend. The first 60 % are learned; into
the rest one thing at a time is put: somebody who runs (two and a half times as fast as one who walked there), a way
across the picture where nobody walks, a car at walking pace. Options are the defaults. AUROC: the scores of frames in
which it is there, against those of the same frames without it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent.data import Array, Detections, Frame
from tests.bench.anomalies import auroc, pipeline_of

_SIZE, _FPS, _LEARNED = (768, 576), 10.0, 0.6
_LABELS = ("person", "car")
_QUICK = 2.5
Boxes = dict[int, Array]  # frame from 0 -> (4,) xyxy px


def walks(path: Path) -> dict[int, Boxes]:
    """Everybody's boxes, by identity."""
    found: dict[int, Boxes] = {}
    for frame, number, left, top, width, height in np.loadtxt(path, delimiter=",")[:, :6]:
        found.setdefault(int(number), {})[int(frame) - 1] = np.array([left, top, left + width, top + height])
    return found


def runner(walk: Boxes, first: int) -> Boxes:
    """The same way, from frame `first` on, so much quicker."""
    way = np.array([walk[k] for k in sorted(walk)])
    at = np.arange(0, len(way) - 1, _QUICK)
    return {first + k: np.array([np.interp(x, np.arange(len(way)), side) for side in way.T]) for k, x in enumerate(at)}


def across(first: int, begin: tuple[float, float], end: tuple[float, float], size: tuple[float, float]) -> Boxes:
    """Straight from foot to foot (px) in ten seconds."""
    found = {}
    for k in range(100):
        x, y = np.array(begin) + (np.array(end) - begin) * k / 99
        found[first + k] = np.array([x - size[0] / 2, y - size[1], x + size[0] / 2, y])
    return found


def scores(people: Sequence[Boxes], more: Boxes, label: int, frames: int) -> Array:
    """(frames,) anomaly scores of a run in which `more` is there, too."""
    found = []
    for seq in range(frames):
        boxes = [(walk[seq], 0) for walk in people if seq in walk] + ([(more[seq], label)] if seq in more else [])
        n = len(boxes)
        xyxy = np.clip(np.array([box for box, _ in boxes]).reshape(n, 4), 0, np.tile(_SIZE, 2)).astype(np.float32)
        found.append(Detections(xyxy, np.full(n, 0.9, np.float32), np.array([k for _, k in boxes], np.int32)))
    picture = np.zeros((_SIZE[1], _SIZE[0], 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        pipeline = pipeline_of(found, _SIZE, _LABELS, Path(folder))
        return np.array([pipeline.look("cam", Frame(picture, k, k / _FPS)).anomaly_score for k in range(frames)])


def main() -> None:
    """Print the table."""
    everybody = walks(Path(sys.argv[1]) / "tracking" / "PETS09-S2L1.gt.txt")
    people, frames = list(everybody.values()), 1 + max(max(walk) for walk in everybody.values())
    first = round(frames * _LEARNED) + 20
    longest = sorted(people, key=lambda walk: -sum(np.hypot(*np.diff(np.array(list(walk.values()))[:, :2], axis=0).T)))
    plants = {
        "running": [(runner(walk, first + 40 * k), 0) for k, walk in enumerate(longest[:4])],
        "a way of its own": [
            (across(first + 30, begin, end, (30.0, 75.0)), 0)
            for begin, end in (((20, 560), (300, 400)), ((760, 560), (560, 420)), ((10, 330), (200, 250)))
        ],
        "a car": [
            (across(first + 30, begin, end, (120.0, 80.0)), 1)
            for begin, end in (((60, 300), (700, 340)), ((700, 400), (60, 380)))
        ],
    }
    usual = scores(people, {}, 0, frames)
    print("| PETS ground truth, 60 % learned | planted | AUROC by frame |\n|---|---|---|")
    everything: list[tuple[Array, Array]] = []
    for kind, made in plants.items():
        here = []
        for more, label in made:
            there = np.array([k for k in more if k < frames])
            here.append((usual[first:], scores(people, more, label, frames)[there]))
        everything += here
        print(f"| {kind} | {len(made)} | {np.mean([auroc(*pair) for pair in here]):.3f} |")
    print(f"| all | {len(everything)} | {np.mean([auroc(*pair) for pair in everything]):.3f} |")


if __name__ == "__main__":
    main()
