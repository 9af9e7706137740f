"""python -m tests.bench.anomalies [--seeds 1 2] [--fps 2 5 15] [--data DATA]: how well the learned normality does.

A generated street (anomalies_world) goes through the real pipeline by the `replay` backend: a week to learn, then days
into which anomalies were put. Each rate of frames sees the same streets. Options are the defaults. Figures:

AUROC        each planted anomaly's highest score, from when it begins until 15 s after its end, against the highest
             score of every 5 minutes of the same days in which something else was in sight and nothing planted
told         planted anomalies of which an event told, and the median of how long that took
false/day    events a day of the days after the week of learning, outside the planted ones

Without --only, the tables of the rules, of PETS, of tamper and of novelty follow, each from its own file beside this
one; --data is the folder of real clips and pictures that they want. Clips of your own: `agent replay --scores`.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agent import config, plugins
from agent.data import Frame
from agent.detect.backends.replay import record
from agent.pipeline import Pipeline, open_detector
from models.strangeness import auroc
from tests.bench.anomalies_world import KINDS, LABELS, SIZE, Plant, World

_LEARN_D, _TEST_D = 7.0, 3.0
_A_DAY = 40  # things in sight on a working day
_AFTER_S, _SPELL_S = 15.0, 300.0


@dataclass(slots=True)
class Run:
    """What came out of one world."""

    good: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})  # highest scores
    bad: list[float] = field(default_factory=list)  # of spells without anything planted
    late: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})  # s until told
    false: int = 0
    days: float = 0.0
    reasons: list[str] = field(default_factory=list)


def pipeline_of(found: Sequence[Any], size: tuple[int, int], labels: Sequence[str], folder: Path) -> Pipeline:
    """The real pipeline over recorded detections, watching for the unusual."""
    path = folder / "recording.tflite"
    record(path, found, size, labels)
    unusual = config.Anomaly("unusual", plugins.get("anomalies", "unusual").Options())
    camera = config.Camera("synthetic", None, anomalies={"unusual": unusual})
    settings = config.Config(
        cameras={"cam": camera},
        time_zone="UTC",
        model=config.Model(file=path, backend="replay"),
        detect=config.Detect(mode="full"),
    )
    monday = 4 * 86400.0  # 1970-01-05
    return Pipeline(settings, open_detector(settings), (), wall=lambda t: monday + t)


def run(seed: int, fps: float) -> Run:
    """One street."""
    world, result = World(seed, _LEARN_D + _TEST_D, _LEARN_D, a_day=_A_DAY), Run(days=_TEST_D)
    frames = list(world.frames(fps))
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    highest: dict[Plant, float] = dict.fromkeys(world.plants, 0.0)
    spells: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        pipeline = pipeline_of([found for _, found in frames], SIZE, LABELS, Path(folder))
        told: set[Plant] = set()
        for seq, (t, _) in enumerate(frames):
            scene = pipeline.look("cam", Frame(picture, seq, t))
            if t < _LEARN_D * 86400:
                continue
            near = [one for one in world.plants if one.begin <= t <= one.end + _AFTER_S]
            for one in near:
                highest[one] = max(highest[one], scene.anomaly_score)
            if not near and not any(one.end < t < one.end + 4 * _AFTER_S for one in world.plants) and len(scene.tracks):
                spell = int(t / _SPELL_S)
                spells[spell] = max(spells.get(spell, 0.0), scene.anomaly_score)
            for event in scene.anomalies:
                if event.kind != "anomaly_start":
                    continue
                result.reasons.append(f"{t:9.0f} {near[0].kind if near else 'FALSE':10} {event.detail['reason']}")
                result.false += not near
                for one in near:
                    if one not in told:
                        told.add(one)
                        result.late[one.kind].append(t - one.begin)
    for one, score in highest.items():
        result.good[one.kind].append(score)
    result.bad = list(spells.values())
    return result


def table(fps: float, runs: Sequence[Run]) -> None:
    """A line a kind."""
    bad = [score for one in runs for score in one.bad]
    everything = [score for one in runs for kind in KINDS for score in one.good[kind]]
    false = sum(one.false for one in runs) / sum(one.days for one in runs)
    print(f"\n{fps:g} fps, {len(runs)} streets: false alarms a day {false:.2f}, AUROC {auroc(bad, everything):.3f}")
    print(f"{'kind':12}{'AUROC':>8}{'told':>9}{'median s':>10}")
    for kind in KINDS:
        good = [score for one in runs for score in one.good[kind]]
        late = [s for one in runs for s in one.late[kind]]
        after = f"{statistics.median(late):10.1f}" if late else f"{'-':>10}"
        print(f"{kind:12}{auroc(bad, good):8.3f}{f'{len(late)}/{len(good)}':>9}{after}")


def others(data: Path | None) -> None:
    """The tables of the other benches of anomalies that there are."""
    for name in ("rules", "pets", "ped2", "tamper", "novelty"):
        if importlib.util.find_spec(f"tests.bench.anomalies_{name}") and (data or name == "rules"):
            print(f"\n{name}", flush=True)
            where = {"rules": [], "novelty": ["--data", str(data)]}.get(name, [str(data)])
            subprocess.run([sys.executable, "-m", f"tests.bench.anomalies_{name}", *where], check=False)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--fps", type=float, nargs="+", default=[2, 5, 15])
    parser.add_argument("--data", type=Path, help="the folder of test data, for tamper and novelty")
    parser.add_argument("--only", action="store_true", help="nothing but what is learned")
    parser.add_argument("--reasons", action="store_true", help="print every alarm")
    asked = parser.parse_args()
    for fps in asked.fps:
        runs = [run(seed, fps) for seed in asked.seeds]
        table(fps, runs)
        if asked.reasons:
            print("\n".join(line for one in runs for line in one.reasons))
    if not asked.only:
        others(asked.data)


if __name__ == "__main__":
    main()
