"""python -m tests.bench.anomalies_tamper [DATA]: faults planted into real clips; who notices, when, and by its name.

Each clip is seen for 15 s from several beginnings; then, from the same state, each fault at each strength for 8 s.
Nothing may be told of the clean clips, of a simulated day and night, or of a lorry.
"""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent.anomalies import Place, tamper
from agent.data import Array, Detections, Event, Frame, Scene, Tracks
from tests.anomalies.faults import FAULTS, STRENGTHS, day, lorry
from tests.conftest import ROOT

CLIPS = {"vtest.avi": (0.0, 18.0, 36.0, 54.0), "car-detection.mp4": (0.0, 3.5, 7.0)}  # clip -> s, beginnings
LEARN_S, FAULT_S, WITHIN_S = 15.0, 8.0, 5.0
FPS = 2.0  # what tamper looks at of any frame rate


def pictures(clip: Path, begin: float = 0.0, seconds: float = 1e9) -> Iterator[tuple[float, Array]]:
    """(t s, RGB picture), at FPS."""
    video = cv2.VideoCapture(str(clip))
    rate, due, index = video.get(cv2.CAP_PROP_FPS), begin, 0
    while video.grab() and index / rate < begin + seconds:
        if index / rate >= due - 1e-6:
            due += 1 / FPS
            yield index / rate, cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2RGB)
        index += 1


def scene(image: Array, t: float) -> Scene:
    return Scene("c", Frame(image, round(t * 30), t), Detections.empty(), Tracks.empty(), (), {})


def watcher(**options: Any) -> Any:
    return tamper.create(tamper.Options(**options), Place("c", "tamper", "tamper"))


def planted(clip: Path, begin: float, seed: int = 0) -> Iterator[tuple[str, str, list[Event], float]]:
    """(fault, strength, what was told, when it began) for all of them."""
    seen = watcher()
    for t, image in pictures(clip, begin, LEARN_S):
        assert seen.update(scene(image, t)) == []
    rest = list(pictures(clip, begin + LEARN_S, FAULT_S))
    for fault, strengths in FAULTS.items():
        for strength, plant in zip(STRENGTHS, strengths, strict=True):
            one, dice = copy.deepcopy(seen), np.random.default_rng(seed)
            events = [e for t, image in rest for e in one.update(scene(plant(image, rest[0][1], dice), t))]
            yield fault, strength, events, rest[0][0]


def clean(clip: Path) -> list[Event]:
    seen = watcher()
    return [event for t, image in pictures(clip) for event in seen.update(scene(image, t))]


def day_and_night(clip: Path, minutes: float = 24.0, seed: int = 0) -> list[Event]:
    """A day of 24 h in so many minutes over a looped clip, with a lorry of 4 s every two minutes."""
    seen, dice, events = watcher(), np.random.default_rng(seed), []
    loop = [cv2.resize(image, (384, 288), interpolation=cv2.INTER_AREA) for _, image in pictures(clip, 0, 30.0)]
    for index in range(round(minutes * 60 * FPS)):
        t = index / FPS
        swing = index % (2 * len(loop) - 2)  # to and fro: a loop would jump
        image = loop[min(swing, 2 * len(loop) - 2 - swing)]
        if t % 120 < 4.0:
            image = lorry(image, t % 120 / 4.0, dice)
        events += seen.update(scene(day(image, 24 * t / (60 * minutes), dice), t))
    return events


def cost(clip: Path) -> tuple[float, float]:
    """(least, median) ms of processor time a look, at 160×90."""
    seen, took = watcher(), []
    for t, image in pictures(clip, 0, 30):
        small = scene(cv2.resize(image, (160, 90), interpolation=cv2.INTER_AREA), t)
        begin = time.thread_time()
        seen.update(small)
        took.append((time.thread_time() - begin) * 1e3)
    return min(took[2:]), float(np.median(took))


def main() -> None:
    default = os.environ.get("LOOKOUT_DATA", ROOT.parent / "shared" / "data")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else default) / "video"
    table: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for name, beginnings in CLIPS.items():
        for begin in beginnings:
            for fault, strength, events, since in planted(folder / name, begin):
                first = next((e for e in events if e.kind == "anomaly_start"), None)
                late = first.t - since if first else float("inf")
                table.setdefault((fault, strength), []).append((late, str(first.detail["what"]) if first else "-"))
    print("| fault | strength | within 5 s | by its name | median s | told as |\n|---|---|---|---|---|---|")
    for (fault, strength), found in table.items():
        within, named = sum(late <= WITHIN_S for late, _ in found), sum(what == fault for _, what in found)
        told = ", ".join(sorted({what for _, what in found}))
        middle = float(np.median([late for late, _ in found]))
        print(f"| {fault} | {strength} | {within}/{len(found)} | {named}/{len(found)} | {middle:.1f} | {told} |")
    every = [(fault, late, what) for (fault, _), found in table.items() for late, what in found]
    print(f"\nwithin 5 s: {np.mean([late <= WITHIN_S for _, late, _ in every]):.1%} of {len(every)}")
    print(f"by its own name: {np.mean([what == fault for fault, _, what in every]):.1%}")
    for name in CLIPS:
        print(f"false alarms, {name}: {[e.detail['reason'] for e in clean(folder / name)]}")
        print(f"false alarms, day and night over {name}: {[e.detail['reason'] for e in day_and_night(folder / name)]}")
    print(
        "ms of processor time a look at 160×90, least and median: {:.2f}, {:.2f}".format(
            *cost(folder / next(iter(CLIPS)))
        )
    )


if __name__ == "__main__":
    main()
