"""A webcam or any /dev/video* through OpenCV: asks for size, fps and fourcc, and says what it was given."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
from msgspec import Meta, Struct

from agent.capture import opencv
from agent.capture.cameras import CameraError
from agent.data import Frame

LIVE = True
NOISY = True
log = logging.getLogger(__name__)


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME] kind = "v4l2"."""

    device: int | str = 0  # 0 is /dev/video0
    size: tuple[int, int] = (640, 480)  # (width, height) px, asked for
    rate: Annotated[float, Meta(gt=0)] = 30.0  # frames a second, asked for
    fourcc: Annotated[str, Meta(min_length=4, max_length=4)] = "MJPG"


def frames(options: Options) -> Iterator[Frame]:
    """Frames as they come, t = arrival. Raises CameraError: absent, busy, unplugged."""
    name = f"/dev/video{options.device}" if isinstance(options.device, int) else options.device
    if not Path(name).exists():
        raise CameraError(f"camera {name}: no such device")
    capture = cv2.VideoCapture(name, cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise CameraError(f"camera {name}: cannot be opened (busy, or not for this user: group video)")
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*options.fourcc))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.size[1])
    capture.set(cv2.CAP_PROP_FPS, options.rate)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    given = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("ascii", "replace")
    got = f"{given[0]}x{given[1]} {fourcc} at {capture.get(cv2.CAP_PROP_FPS):.4g} fps"
    asked = f"{options.size[0]}x{options.size[1]} {options.fourcc} at {options.rate:.4g}"
    log.info("camera %s: %s (asked for %s)", name, got, asked)
    yield from opencv.frames(capture, f"camera {name}: gave no frame (unplugged?)")
