"""A camera that misbehaves as the word in the file HOOKS/camera says, which may change at any time: see `Camera`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from agent.capture.cameras import CameraError
from agent.capture.cameras.synthetic import Options as Scene
from agent.capture.cameras.synthetic import frames as scene
from agent.data import Frame

LIVE = NOISY = True


def word(of: str) -> str:
    """What is to go wrong just now: the content of a file in the folder HOOKS."""
    try:
        return (Path(os.environ["HOOKS"]) / of).read_text() or "ok"
    except FileNotFoundError:
        return "ok"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME] kind = "faulty": a synthetic one until told otherwise."""

    rate: float = 10.0
    objects: int = 3
    size: tuple[int, int] = (640, 480)  # (width, height) px


def frames(options: Options) -> Iterator[Frame]:
    if word("camera") == "gone":
        raise CameraError("camera faulty: no such device")
    last: Frame | None = None
    for frame in scene(Scene(size=options.size, rate=options.rate, objects=options.objects)):
        last = getattr(Camera, word("camera"))(frame, last)
        yield last


class Camera:
    """What a frame becomes; the second one is the last that was given."""

    @staticmethod
    def ok(frame: Frame, _: Frame | None) -> Frame:
        return frame

    @staticmethod
    def gone(frame: Frame, _: Frame | None) -> Frame:
        raise CameraError("camera faulty: gave no frame (unplugged?)")

    @staticmethod
    def broken(frame: Frame, _: Frame | None) -> Frame:
        raise ValueError("a driver's own trouble")

    @staticmethod
    def hang(frame: Frame, _: Frame | None) -> Frame:
        while word("camera") == "hang":
            time.sleep(0.05)
        return frame

    @staticmethod
    def frozen(frame: Frame, last: Frame | None) -> Frame:
        return Frame((last or frame).image, frame.seq, frame.t)

    @staticmethod
    def small(frame: Frame, _: Frame | None) -> Frame:
        return Frame(np.ascontiguousarray(frame.image[::2, ::4]), frame.seq, frame.t)

    @staticmethod
    def backwards(frame: Frame, last: Frame | None) -> Frame:
        return Frame(frame.image, frame.seq, (last or frame).t - 0.5)

    @staticmethod
    def ahead(frame: Frame, _: Frame | None) -> Frame:
        return Frame(frame.image, frame.seq, frame.t + 1e6)

    @staticmethod
    def same_time(frame: Frame, last: Frame | None) -> Frame:
        return Frame(frame.image, frame.seq, (last or frame).t)

    @staticmethod
    def slow(frame: Frame, _: Frame | None) -> Frame:
        time.sleep(1.0)
        return Frame(frame.image, frame.seq, time.monotonic())

    @staticmethod
    def black(frame: Frame, _: Frame | None) -> Frame:
        return Frame(np.zeros_like(frame.image), frame.seq, frame.t)

    @staticmethod
    def white(frame: Frame, _: Frame | None) -> Frame:
        return Frame(np.full_like(frame.image, 255), frame.seq, frame.t)

    @staticmethod
    def noise(frame: Frame, _: Frame | None) -> Frame:
        image = np.random.default_rng(frame.seq).integers(0, 256, frame.image.shape, np.uint8)
        return Frame(image, frame.seq, frame.t)
