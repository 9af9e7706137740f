"""A webcam that gives something else than it was asked for. (A real V4L2 device: tests/system/vm-init.sh.)"""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.capture.cameras import v4l2


class Stubborn:
    """640x480 YUYV at 10 fps, whatever is asked for; a blue picture."""

    def __init__(self, *_: object) -> None:
        self.asked: dict[int, float] = {}
        self._gives = {cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480, cv2.CAP_PROP_FPS: 10}
        self._gives[cv2.CAP_PROP_FOURCC] = cv2.VideoWriter.fourcc(*"YUYV")

    def isOpened(self) -> bool:
        return True

    def set(self, key: int, value: float) -> None:
        self.asked[key] = value

    def get(self, key: int) -> float:
        return float(self._gives[key])

    def read(self) -> tuple[bool, np.ndarray]:
        return True, np.full((480, 640, 3), (255, 0, 0), np.uint8)

    def release(self) -> None:
        pass


def test_what_was_given_is_told_beside_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    camera = Stubborn()
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: camera)
    node = tmp_path / "video0"
    node.touch()
    with caplog.at_level(logging.INFO):
        stream = v4l2.frames(v4l2.Options(device=str(node), size=(1280, 720), rate=30))
        frame = next(stream)
        stream.close()  # type: ignore[attr-defined]

    assert frame.size == (640, 480)
    assert frame.image[0, 0].tolist() == [0, 0, 255]
    assert camera.asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert caplog.messages == [f"camera {node}: 640x480 YUYV at 10 fps (asked for 1280x720 MJPG at 30)"]
