"""Frames out of an OpenCV capture that is open: the loop that live cameras share."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2

from agent.capture.cameras import CameraError
from agent.data import Frame


def frames(capture: cv2.VideoCapture, trouble: str) -> Iterator[Frame]:
    """Frames as they come, t = arrival; releases the capture at the end.

    Raises CameraError with the text `trouble` when a read gives nothing.
    """
    seq = 0
    try:
        while True:
            good, image = capture.read()
            if not good:
                raise CameraError(trouble)
            arrived = time.monotonic()
            yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), seq, arrived)
            seq += 1
    finally:
        capture.release()
