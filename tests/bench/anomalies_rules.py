"""python -m tests.bench.anomalies_rules [CASES]: planted cases for each rule; how many are told, and what else is.

Each case is a world of its own: jitter of 1.5 px, 10 % of the boxes missing, a fifth not looked for, 2, 5 or 15 frames
a second, and bystanders who do nothing wrong. What is wrong is so by a fifth at least, and what is right, too.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import cv2
import numpy as np

from agent.anomalies import Anomalies
from agent.anomalies.normality import likeness
from agent.anomalies.parts.glance import Glance
from agent.data import Scene
from agent.plugins import get
from tests.anomalies.walks import SIZE, Walk, World, stand, starts, straight

Case = tuple[World, dict[str, Any], int]  # a world, the options of the kind, how many anomalies there are
_GROUND = get("anomalies", "speeding").Ground(
    picture=((0.1, 0.9), (0.9, 0.9), (0.7, 0.3), (0.3, 0.3)), metres=((0, 0), (8, 0), (8, 24), (0, 24))
)
_MIDNIGHT = datetime(2026, 3, 2, tzinfo=ZoneInfo("UTC")).timestamp()  # a Monday


def world(dice: np.random.Generator, walks: list[Walk], seconds: float, **more: Any) -> World:
    noise = {"jitter": 1.5, "missed": 0.1, "unlooked": 0.2, "seed": int(dice.integers(1 << 30))}
    return World(walks, float(dice.choice([2, 5, 15])), seconds, **{**noise, **more})


def share(dice: np.random.Generator, wrong: bool) -> float:
    """Of a limit: what is wrong is 1.2 to 3 of it, what is right 0.2 to 0.8."""
    return float(dice.uniform(1.2, 3.0) if wrong else dice.uniform(0.2, 0.8))


def loitering(dice: np.random.Generator, wrong: bool) -> Case:
    dwell = 10.0 * share(dice, wrong)
    x, y = dice.uniform(0.1, 0.4), dice.uniform(0.4, 0.9)
    swing = dice.uniform(0, 0.05)
    stays = Walk(lambda t: (x + swing * math.sin(t), y), 2.0, 2.0 + dwell)
    passes = Walk(straight((0.0, 0.7), (0.1, 0.0)), 1.0, 8.0)
    outside = Walk(stand(0.8, 0.8))
    return world(dice, [stays, passes, outside], 40.0), {"zones": ("left",), "dwell_s": 10.0, "away_s": 3.0}, int(wrong)


def crowding(dice: np.random.Generator, wrong: bool) -> Case:
    most = int(dice.integers(2, 8))
    many = most + int(dice.integers(2, 5)) if wrong else most - int(dice.integers(0, 2))
    crowd = [Walk(stand(*dice.uniform((0.05, 0.3), (0.42, 0.95))), 5.0, 20.0) for _ in range(many)]
    outside = [Walk(stand(*dice.uniform((0.6, 0.3), (0.95, 0.95)))) for _ in range(4)]
    burst = [Walk(stand(0.2, 0.5), 25.0, 26.5) for _ in range(most + 2)]  # too short to be a crowd
    return world(dice, crowd + outside + burst, 35.0), {"zones": ("left",), "most": most, "hold_s": 4.0}, int(wrong)


def speeding(dice: np.random.Generator, wrong: bool) -> Case:
    speed, angle = 0.15 * share(dice, wrong), dice.uniform(-0.3, 0.3)
    way = (speed * math.cos(angle), speed * math.sin(angle) * SIZE[0] / SIZE[1])
    runs = Walk(straight((0.05, 0.6), way), 1.0, 1.0 + min(6.0, 0.9 / speed))
    return world(dice, [runs, Walk(stand(0.5, 0.9))], 10.0), {"limit": 0.15}, int(wrong)


def speeding_on_ground(dice: np.random.Generator, wrong: bool) -> Case:
    speed, x = 3.0 * share(dice, wrong), dice.uniform(1, 7)  # m/s, m
    to_picture = np.linalg.inv(_GROUND.matrix())

    def feet(t: float) -> tuple[float, float]:
        a, b, c = to_picture @ (x, 1 + speed * t, 1)
        return a / c, b / c

    runs = Walk(feet, 1.0, 1.0 + min(6.0, 22 / speed), "car", 0.1)
    return world(dice, [runs], 10.0, jitter=0.5), {"limit": 3.0, "ground": _GROUND}, int(wrong)


def wrong_way_line(dice: np.random.Generator, wrong: bool) -> Case:
    x, speed = dice.uniform(0.2, 0.8), dice.uniform(0.05, 0.2)
    up, down = straight((x, 0.9), (0.02, -speed)), straight((x, 0.25), (0.02, speed))
    walks = [Walk(up if wrong else down, 0.0, 0.6 / speed), Walk(stand(0.5, 0.8))]
    return world(dice, walks, 15.0, unlooked=0.0), {"lines": ("gate",), "way": "in"}, int(wrong)


def wrong_way_zone(dice: np.random.Generator, wrong: bool) -> Case:
    speed = dice.uniform(0.05, 0.15)
    back, forth = straight((0.45, 0.7), (-speed, 0.0)), straight((0.05, 0.7), (speed, 0.02))
    across = Walk(straight((0.25, 0.3), (0.0, 0.1)), 0.0, 6.0)
    walks = [Walk(back if wrong else forth, 0.0, 0.4 / speed), across, Walk(stand(0.3, 0.9))]
    return world(dice, walks, 12.0), {"zones": ("left",), "direction": ((0.0, 0.5), (1.0, 0.5))}, int(wrong)


def intrusion(dice: np.random.Generator, wrong: bool) -> Case:
    there = stand(*dice.uniform((0.1, 0.3), (0.4, 0.95)))
    where, hour = (there, 23) if wrong else [(there, 12), (stand(0.8, 0.5), 23)][int(dice.integers(2))]
    walks = [Walk(where, 2.0, 12.0), Walk(there, 1.0, 18.0, "car")]
    options = {"zones": ("left",), "when": ("mon-fri 22:00-06:00",), "_hour": hour}
    return world(dice, walks, 20.0), options, int(wrong)


CASES: dict[str, Callable[[np.random.Generator, bool], Case]] = {
    "loitering": loitering,
    "crowding": crowding,
    "speeding": speeding,
    "speeding on the ground": speeding_on_ground,
    "wrong_way, line": wrong_way_line,
    "wrong_way, zone": wrong_way_zone,
    "intrusion": intrusion,
}


def watching(made: World, kinds: Mapping[str, dict[str, Any]], wall: Callable[[float], float] = float) -> Anomalies:
    """These kinds with their options at the camera of a world, asked as the pipeline asks them."""
    glance = Glance()  # the kinds of one camera share it
    chosen = ((get("anomalies", kind).Options(**more), made.place(kind, wall)) for kind, more in kinds.items())
    return Anomalies((options, replace(place, glance=glance)) for options, place in chosen)


def outcomes(name: str, cases: int, seed: int = 0) -> tuple[int, int, int]:
    """(planted, of them told, told without cause or twice) in so many worlds, half of them with an anomaly."""
    dice, planted, found, extra = np.random.default_rng(seed), 0, 0, 0
    kind = name.split(",")[0].split(" ")[0]
    for case in range(cases):
        made, options, wrong = CASES[name](dice, case % 2 == 0)
        hour = options.pop("_hour", 12)
        watch = watching(made, {kind: options}, lambda t, hour=hour: _MIDNIGHT + 3600 * hour + t)
        told = len(starts([event for scene in made.scenes() for event in watch.look(scene).anomalies]))
        planted, found, extra = planted + wrong, found + min(told, wrong), extra + max(0, told - wrong)
    return planted, found, extra


def busy(tracks: int) -> Iterator[Scene]:
    """20 s at 15 fps of so many who walk before a wall of patches, each as a patch of its own."""
    dice = np.random.default_rng(0)
    walks = [Walk(straight(tuple(dice.uniform(0.2, 0.8, 2)), tuple(dice.normal(0, 0.01, 2)))) for _ in range(tracks)]
    wall = cv2.resize(dice.integers(60, 180, (45, 80, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    clothes = dice.integers(0, 255, (tracks, 3), dtype=np.uint8)
    for scene in World(walks, 15.0, 20.0, jitter=1.0).scenes():
        image = wall.copy()
        for (x1, y1, x2, y2), track in zip(scene.tracks.xyxy.astype(int), scene.tracks.track_id, strict=True):
            image[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = clothes[track - 1]
        yield replace(scene, frame=replace(scene.frame, image=image))


def experienced(anomaly: Any) -> None:
    """`unusual` gets as many moments to remember as it ever will, of people who walk like these."""
    dice = np.random.default_rng(1)
    foot, scale = dice.uniform((0.1, 0.1), (0.9, 0.56), (likeness.MOST, 2)), dice.uniform(0.06, 0.08, likeness.MOST)
    moments = likeness.point(foot, scale, dice.normal(0, 0.02, foot.shape), np.zeros(likeness.MOST, np.intp))
    anomaly._who.like.remember(moments, np.zeros(likeness.MOST))


def cost(tracks: int = 20, runs: int = 5) -> Iterator[tuple[str, float, float]]:
    """(kind, mean, median ms of processor time) a frame of 15 a second, and of all together.

    Of each frame the least of `runs`, as timeit has it: what others do to the caches is no cost of these.
    """
    chosen: dict[str, dict[str, Any]] = {
        "loitering": {"zones": ("left",)},
        "crowding": {"zones": ("left",)},
        "speeding": {"limit": 5.0, "ground": _GROUND},
        "wrong_way": {"lines": ("gate",), "direction": ((0.0, 0.5), (1.0, 0.5))},
        "intrusion": {"zones": ("left",), "when": ("22:00-06:00",)},
        "abandoned": {},
        "tamper": {},
        "unusual": {},
    }
    sets = {kind: {kind: options} for kind, options in chosen.items()} | {"all": chosen}
    for name, kinds in sets.items():
        took = np.full((runs, 300), np.inf)
        for run in took:
            watch = watching(World([]), kinds)
            if "unusual" in kinds:
                experienced(watch["unusual"])
            for k, scene in enumerate(busy(tracks)):
                begin = time.thread_time()
                watch.look(scene)
                run[k] = (time.thread_time() - begin) * 1e3
        least = took.min(axis=0)[15:]
        yield name, float(least.mean()), float(np.median(least))


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print("| rule | planted | recall | precision |\n|---|---|---|---|")
    for name in CASES:
        planted, found, extra = outcomes(name, cases)
        print(f"| {name} | {planted} | {found / planted:.3f} | {found / max(1, found + extra):.3f} |")
    print("\n| 20 tracks, 15 fps, with a full memory | mean ms of processor time a frame | median |\n|---|---|---|")
    for name, mean, median in cost():
        print(f"| {name} | {mean:.3f} | {median:.3f} |")


if __name__ == "__main__":
    main()
