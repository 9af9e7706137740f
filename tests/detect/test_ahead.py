"""Inference aside of the loop: nothing is mixed up, nothing is lost."""

import gc
import threading

import numpy as np
import pytest

from agent.data import Frame
from agent.detect.detector import Detector
from tests.detect.eye import Eye, paint

SIZE = (192, 96)


def frame(seq: int, *xyxy: tuple[float, float, float, float]) -> Frame:
    return Frame(paint(SIZE, *xyxy), seq, seq / 10)


class Shared:
    """A backend whose outputs lie in the same memory on every run, as an interpreter's do."""

    def __init__(self, backend) -> None:
        self._backend, self._memory = backend, [np.zeros(t.shape, t.dtype) for t in backend.outputs]
        self.inputs, self.outputs, self.threads = backend.inputs, backend.outputs, set()

    @property
    def input(self):
        return self._backend.input

    def run(self):
        self.threads.add(threading.current_thread())
        for memory, output in zip(self._memory, self._backend.run(), strict=True):
            memory[...] = output
        return self._memory


def eye() -> Eye:
    made = Eye()
    made.backend = Shared(made.backend)
    return made


def test_what_was_begun_is_read_as_if_nothing_had_followed() -> None:
    detector, alone = Detector(eye()), Detector(Eye())
    frames = [frame(n, (20 * n, 10, 20 * n + 40, 70)) for n in range(1, 6)]
    found, before = [], detector.begin(frames[0])
    for one in frames[1:]:
        before.wait()
        follows = detector.begin(one)
        found.append(detector.read(before))
        before = follows
    found.append(detector.read(before))
    for one, what in zip(frames, found, strict=True):
        expected = alone.detect(one)
        assert len(expected) == 1
        np.testing.assert_array_equal(what.xyxy, expected.xyxy)
        np.testing.assert_array_equal(what.confidence, expected.confidence)
    assert set(detector.times) == set(alone.times)


def test_whatever_the_backend_raises_comes_out_where_it_is_waited_for() -> None:
    model = Eye()

    def run() -> None:
        raise RuntimeError("unplugged")

    model.backend.run = run
    begun = Detector(model).begin(frame(0))
    with pytest.raises(RuntimeError, match="unplugged"):
        begun.wait()


def test_the_thread_ends_with_its_detector() -> None:
    model = eye()
    detector = Detector(model)
    detector.read(detector.begin(frame(0)))
    (thread,) = model.backend.threads
    assert thread is not threading.current_thread()
    del detector
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
