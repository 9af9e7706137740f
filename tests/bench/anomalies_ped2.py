"""python -m tests.bench.anomalies_ped2 DATA: UCSD Ped2 through `replay`, the shipped model, nothing chosen for it.

Each test clip alone, after all clips of normal walks (anomaly/ucsd-ped2 of DATA); then the scores of all their frames
together against its truth: bicycles, carts and skaters among people on foot. Minutes.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from agent.data import Array
from tests.bench.anomalies import auroc

CONFIG = """
state_dir = "{folder}/state"
time_zone = "UTC"
[cameras.walkway]
kind = "file"
path = "{clip}"
[cameras.walkway.anomalies.unusual]
"""


def scored(clip: Path, learned: list[Path]) -> Array:
    """(frames,) the score of each frame."""
    with tempfile.TemporaryDirectory() as folder:
        config, scores = Path(folder) / "agent.toml", Path(folder) / "scores.csv"
        config.write_text(CONFIG.format(folder=folder, clip=clip))
        command = ["replay", str(config), "--source", str(clip), "--learn", *map(str, learned), "--scores", str(scores)]
        subprocess.run([sys.executable, "-m", "agent", *command], check=True, capture_output=True)
        with scores.open(newline="") as file:
            return np.array([float(row["score"]) for row in csv.DictReader(file)])


def abnormal(truth: dict[str, list[list[int]]], frames: int) -> Array:
    """(frames,) bool, from intervals that count from 1 and hold their ends."""
    strange = np.zeros(frames, np.bool_)
    for first, last in truth["abnormal_frames_1_based_inclusive"]:
        strange[first - 1 : last] = True
    return strange


def main() -> None:
    """A line a clip, and that of all frames together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    folder = parser.parse_args().data / "anomaly" / "ucsd-ped2"
    labels, learned = json.loads((folder / "labels.json").read_text()), sorted((folder / "train").glob("*.mp4"))
    scores, strange = list[Array](), list[Array]()
    for clip in sorted((folder / "test").glob("*.mp4")):
        scores.append(scored(clip, learned))
        strange.append(abnormal(labels[f"test/{clip.name}"], len(scores[-1])))
        print(f"{clip.name}: {len(scores[-1])} frames, {np.count_nonzero(strange[-1])} abnormal", flush=True)
    every, is_strange = np.concatenate(scores), np.concatenate(strange)
    print(f"frame-level AUROC {auroc(every[~is_strange], every[is_strange]):.3f}")


if __name__ == "__main__":
    main()
