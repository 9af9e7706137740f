"""People and cars for tests of the tracker: detections, their ways through the picture, and a run over them."""

from collections.abc import Callable, Iterable

import numpy as np

from agent.data import Detections, Event, Tracks
from agent.track.tracker import Tracker

PERSON, CAR, TRUCK = 0, 1, 2
LABELS = ("person", "car", "truck")
Box = tuple[float, float, float, float]


def seen(boxes: Iterable[Box], confidence: float | Iterable[float] = 0.9, class_id: int | list[int] = 0) -> Detections:
    """Detections by falling confidence, as a detector gives them."""
    xyxy = np.array(list(boxes), np.float32).reshape(-1, 4)
    score = np.broadcast_to(np.array(confidence, np.float32), len(xyxy))
    order = np.argsort(-score, kind="stable")
    return Detections(xyxy[order], score[order].copy(), np.broadcast_to(np.int32(class_id), len(xyxy))[order].copy())


NOTHING = seen([])


def person(x: float, y: float = 300.0) -> Box:
    return x, y, x + 40, y + 100


def run(
    tracker: Tracker, frames: Callable[[float], Detections], times: Iterable[float]
) -> tuple[list[Tracks], list[Event]]:
    told, events = [], []
    for seq, t in enumerate(times):
        tracks, new = tracker.update(frames(t), t, seq)
        told.append(tracks)
        events += new
    return told, events


def at(fps: float, seconds: float, start: float = 0.0) -> list[float]:
    return [start + n / fps for n in range(round(seconds * fps))]


def crowd(n: int, seed: int = 0) -> Callable[[float], Detections]:
    """n people on straight ways through 1920 x 1080, with jitter that depends on the moment alone."""
    rng = np.random.default_rng(seed)
    place, speed = rng.uniform([0, 0], [1900, 1000], (n, 2)), rng.normal(0, 60, (n, 2))

    def frame(t: float) -> Detections:
        noise = np.random.default_rng(round(t * 1000)).normal(0, 1, (n, 2))
        xy = place + speed * t + noise
        return seen([person(x, y) for x, y in xy], np.linspace(0.95, 0.65, n))

    return frame


def ids(told: list[Tracks]) -> set[int]:
    return {int(track) for tracks in told for track in tracks.track_id}
