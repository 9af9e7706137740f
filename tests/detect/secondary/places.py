"""A small world to look at: pictures of one place, with noise and changing light, and with something put into it."""

from pathlib import Path

import cv2
import numpy as np

from agent import config
from convert import novelty

TRUNK = config.shipped(config.DEFAULT_MODEL)
SIZE = (160, 120)  # width, height px


def place(number: int, *, seed: int = 5) -> np.ndarray:
    """(120, 160, 3) uint8 RGB: the same textured wall every time, in another light and with other noise."""
    wall = np.random.default_rng(seed).integers(60, 190, (15, 20, 3), np.uint8)
    picture = cv2.resize(wall, SIZE, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = np.random.default_rng(1000 + number).normal(0, 4, picture.shape)
    return np.clip(picture * (0.9 + 0.02 * (number % 10)) + noise, 0, 255).astype(np.uint8)


def changed(number: int) -> np.ndarray:
    """The same with a bright object at the lower right."""
    picture = place(number)
    cv2.circle(picture, (120, 90), 16, (250, 240, 20), cv2.FILLED)
    return picture


def pictures(folder: Path, count: int) -> Path:
    """Write so many normal ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03d}.png"), cv2.cvtColor(place(number), cv2.COLOR_RGB2BGR))
    return folder


def built(folder: Path, count: int = 16, **more: object) -> Path:
    """A file that knows the place."""
    out = folder / "place.tflite"
    novelty.build(novelty.Given(pictures(folder / "normal", count), out, TRUNK, **{"vectors": 200, **more}))
    return out
