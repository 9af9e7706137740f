"""What the contenders look at: a busy clip, a sparse one and a still one; and how a round is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def scenes(data: Path, count: int) -> dict[str, list[Any]]:
    """BGR frames by scene."""
    busy = _frames(data / "video" / "vtest.avi", count)
    sparse = _frames(data / "video" / "car-detection.mp4", count)
    return {"busy": busy, "sparse": sparse, "still": _still(busy[0], count)}


def measure(step: Callable[[Any], Any], frames: list[Any]) -> tuple[float, float]:
    """(s of wall time, s of CPU time of all threads) for all frames."""
    begin, used = time.perf_counter(), time.process_time()
    for frame in frames:
        step(frame)
    return time.perf_counter() - begin, time.process_time() - used


def _frames(clip: Path, count: int) -> list[Any]:
    reader, frames = cv2.VideoCapture(str(clip)), []
    while len(frames) < count:
        good, image = reader.read()
        if not good:
            break
        frames.append(image)
    return frames


def _still(image: Any, count: int) -> list[Any]:
    """One picture again and again, with a sensor's noise of two grey levels."""
    rng = np.random.default_rng(0)
    noisy = [np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8) for _ in range(min(count, 20))]
    return noisy * max(1, count // 20)
