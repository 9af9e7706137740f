"""The shipped model on the CPU: as many threads as it is told, and the same answers with any number."""

import numpy as np
import pytest

from agent import config
from agent.data import Frame
from agent.detect.backends.tflite import Backend
from agent.detect.detector import Detector
from agent.detect.model import Model
from agent.detect.watch import Watch
from agent.modelfile import ModelError
from tests.detect.eye import paint

SHIPPED = config.Model().file


def answers(backend: Backend) -> bytes:
    backend.input[:] = np.random.default_rng(3).integers(-128, 128, backend.inputs[0].shape, np.int8)
    return b"".join(output.tobytes() for output in backend.run())


def test_with_fewer_threads_it_says_the_same() -> None:
    backend = Backend(SHIPPED, 2)
    before = answers(backend)
    backend.use(1)

    assert backend.threads == 1
    assert backend.runs_on == "xnnpack"
    assert backend.is_delegated()
    assert answers(backend) == before


def test_a_file_that_is_gone_leaves_it_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(Detector(Model(SHIPPED, threads=2)))
    before = answers(watch.model.backend)  # type: ignore[arg-type]

    def gone(_: int) -> None:
        raise ModelError("model x.tflite: no such file")

    monkeypatch.setattr(watch.model.backend, "_opened", gone)
    watch.spare(False, True)

    assert watch.model.backend.threads == 2
    assert answers(watch.model.backend) == before  # type: ignore[arg-type]


def test_a_hot_board_takes_threads_away_while_a_frame_is_looked_at_and_gives_them_back() -> None:
    watch = Watch(Detector(Model(SHIPPED, threads=2)), config.Detect(mode="full"))
    frames = [Frame(paint((640, 360), (100 + 50 * n, 50, 200, 300)), n, n / 10) for n in range(3)]
    alone = [Detector(Model(SHIPPED, threads=2), confidence=0.02).detect(frame) for frame in frames]
    watch.tune("yard", (), 0.02, 0.02)
    threads, found = [], []
    for frame, one_thread in zip(frames, (True, True, False), strict=True):
        begun = watch.begin(frame)
        assert begun
        watch.spare(False, one_thread)
        found.append(watch.read(begun))
        threads.append(watch.model.backend.threads)

    assert threads == [1, 1, 2]
    assert all(len(expected) for expected in alone)
    for one, expected in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one.xyxy, expected.xyxy)
