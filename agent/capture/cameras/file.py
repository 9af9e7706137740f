"""A clip (any container that OpenCV's FFmpeg reads), paced by its own time stamps or flat out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import cv2
import msgspec

from agent.capture.cameras import CameraError
from agent.data import Frame

LIVE = False
NOISY = False  # a clip may well hold a picture
_FALLBACK_FPS = 25.0  # for containers that do not say


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME] kind = "file"."""

    path: Path
    pace: Literal["realtime", "max"] = "realtime"  # max: every frame as fast as it is taken, t = its time in the clip
    loop: bool = False  # start again at the end; seq and t go on rising


def frames(options: Options) -> Iterator[Frame]:
    """Frames of the clip. Raises CameraError: missing, unreadable, or without a single frame."""
    start = time.monotonic() if options.pace == "realtime" else 0.0
    seq, begin, end = 0, 0.0, 0.0  # s of clip time: where this round began, where the next one does
    while True:
        first = seq
        for image, at, period in _read(options.path):
            t = start + begin + at
            if options.pace == "realtime":
                time.sleep(max(0.0, t - time.monotonic()))
            yield Frame(image, seq, t)
            seq, end = seq + 1, begin + at + period
        if seq == first:
            raise CameraError(f"clip {options.path}: no frame in it can be decoded")
        if not options.loop:
            return
        begin = end


def _read(path: Path) -> Iterator[tuple[cv2.typing.MatLike, float, float]]:
    """(RGB image, s since the clip's start, s to the next frame)."""
    if not path.is_file():
        raise CameraError(f"clip {path}: no such file")
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise CameraError(f"clip {path}: not a video that can be read")
        fps = capture.get(cv2.CAP_PROP_FPS)
        period = 1 / (fps if 0.1 < fps <= 1000 else _FALLBACK_FPS)
        at = -period
        while True:
            good, image = capture.read()
            if not good:
                return
            stamped = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000  # 0 for every frame where the container has none
            at = stamped if stamped > at + period / 1000 else at + period
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), at, period
    finally:
        capture.release()
