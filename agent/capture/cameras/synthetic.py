"""A made-up scene: textured blocks cross a noisy wall on paths that `truth` tells exactly.

Every frame carries its own number in its top left corner (16 cells of 8 px, white = 1, lowest bit first), so
that a latency test can tell which frame a message came from.

    block i at time t, in a W×H picture: x bounces over W at speed v_i, y stands at its own lane
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Literal

import cv2
import numpy as np
from msgspec import Meta, Struct

from agent.data import Array, Frame

LIVE = True
NOISY = True
STAMP_BITS, STAMP_CELL = 16, 8  # cells, px
_NOISES = 8  # pictures of noise, in a random order


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME] kind = "synthetic"."""

    size: tuple[Annotated[int, Meta(ge=160)], Annotated[int, Meta(ge=120)]] = (640, 480)  # (width, height) px
    rate: Annotated[float, Meta(gt=0, le=1000)] = 10.0  # frames a second
    objects: Annotated[int, Meta(ge=0, le=64)] = 3
    seed: int = 0
    noise: Annotated[float, Meta(ge=0, le=64)] = 2.0  # grey levels, amplitude of the sensor noise
    pace: Literal["realtime", "max"] = "realtime"
    seconds: Annotated[float, Meta(gt=0)] | None = None  # length of the scene; None = for ever


def frames(options: Options) -> Iterator[Frame]:
    """Frames of the scene at its rate; t is when each was drawn, or its scene time where pace is "max"."""
    rng = np.random.default_rng(options.seed)
    width, height = options.size
    wall = cv2.resize(rng.integers(70, 130, (height // 16, width // 16, 3), np.uint8), options.size)
    noise = [rng.uniform(-options.noise, options.noise, wall.shape).astype(np.int8) for _ in range(_NOISES)]
    skins = rng.integers(0, 255, (max(1, options.objects), 4, 4, 3), np.uint8)
    start = time.monotonic()
    seq = 0
    while options.seconds is None or seq < options.seconds * options.rate:
        at = seq / options.rate
        image = wall.copy()
        for skin, (x1, y1, x2, y2) in zip(skins, truth(options, at).round().astype(int), strict=False):
            image[y1:y2, x1:x2] = cv2.resize(skin, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)
        image = np.clip(image + noise[rng.integers(_NOISES)], 0, 255).astype(np.uint8)
        _stamp(image, seq)
        if options.pace == "realtime":
            time.sleep(max(0.0, start + at - time.monotonic()))
            at += start
        yield Frame(image, seq, at)
        seq += 1


def truth(options: Options, at: float) -> Array:
    """Where the blocks are `at` seconds into the scene: (objects, 4) float64 px xyxy."""
    width, height = options.size
    index = np.arange(options.objects)
    w, h = width * 0.08 + 4 * index, height * 0.2 + 4 * index
    speed = width * (0.05 + 0.03 * (index % 5))  # px/s
    room = width - w
    way = (speed * at + index * width / 3) % (2 * room)
    x = np.where(way < room, way, 2 * room - way)  # back and forth
    y = (STAMP_CELL * 2 + (height - h - STAMP_CELL * 2) * ((index * 0.37) % 1.0)).round()
    return np.stack([x, y, x + w, y + h], axis=1)


def stamped_seq(image: Array) -> int:
    """The frame number that a picture of this camera carries, modulo 2^16."""
    row = image[STAMP_CELL // 2, STAMP_CELL // 2 : STAMP_BITS * STAMP_CELL : STAMP_CELL, 0]
    return int(np.sum((row > 127) * (1 << np.arange(STAMP_BITS))))


def _stamp(image: Array, seq: int) -> None:
    bits = (seq >> np.arange(STAMP_BITS)) & 1
    image[:STAMP_CELL, : STAMP_BITS * STAMP_CELL] = np.repeat(bits * 255, STAMP_CELL)[None, :, None]
