"""A network camera: rtsp:// over TCP, or MJPEG over http://; time-outs on opening and on every read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Literal

import cv2
from msgspec import Meta, Struct

from agent.capture import opencv
from agent.capture.cameras import CameraError
from agent.data import Frame

LIVE = True
NOISY = True


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME] kind = "rtsp"."""

    url: Annotated[str, Meta(pattern=r"^(rtsps?|https?)://.+", description="an rtsp:// or http:// address")]
    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    read_timeout_s: Annotated[float, Meta(gt=0)] = 5.0


def frames(options: Options) -> Iterator[Frame]:
    """Frames as they are decoded, t = arrival. Raises CameraError with the host, never with the password."""
    name = without_password(options.url)
    # OpenCV takes FFmpeg's own options from the environment only, at opening
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"rtsp_transport;{options.transport}"
    limits = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(options.open_timeout_s * 1000)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(options.read_timeout_s * 1000)),
    ]
    capture = cv2.VideoCapture(options.url, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        capture.release()
        raise CameraError(f"camera {name}: cannot be opened within {options.open_timeout_s:g} s")
    yield from opencv.frames(capture, f"camera {name}: stream ended or no frame for {options.read_timeout_s:g} s")


def without_password(url: str) -> str:
    """rtsp://user:secret@host/path?key=secret -> rtsp://host/path."""
    scheme, rest = url.split("://", 1)
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
