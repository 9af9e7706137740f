"""A recording goes through the pipeline as a model's detections do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.data import Detections, Frame
from agent.detect.backends.replay import Backend, record
from agent.detect.detector import Detector
from agent.detect.model import Model
from agent.modelfile import ModelError


def found(x: float, confidence: float = 0.8) -> Detections:
    box = np.array([[x, 40, x + 30, 100]], np.float32)
    return Detections(box, np.array([confidence], np.float32), np.array([1], np.int32))


def test_every_frame_gets_its_own_detections_and_the_end_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "recording.tflite"
    record(path, [found(10), Detections.empty(), found(200)], (320, 180), ("person", "car"))
    detector = Detector(Model(path, backend="replay"), confidence=0.1)
    frame = Frame(np.zeros((180, 320, 3), np.uint8), 0, 0.0)
    seen = [detector.detect(frame) for _ in range(4)]
    assert [len(one) for one in seen] == [1, 0, 1, 0]
    np.testing.assert_allclose(seen[2].xyxy, found(200).xyxy, atol=0.01)
    assert seen[0].class_id.tolist() == [1]


def test_a_file_that_is_no_recording_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(b"\0\0\0\0TFL3 nothing")
    with pytest.raises(ModelError, match="no recording"):
        Backend(path, 1)
