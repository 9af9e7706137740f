"""A camera many times faster than the model: frames are dropped, never queued."""

import itertools
import time
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from agent import config, pipeline
from agent.data import Array, CameraState, Frame, Scene

LOOKS = 25


class Camera:
    """The synthetic camera, and what it gave: when, and which pictures are still somebody's."""

    def __init__(self) -> None:
        self.came: dict[int, float] = {}  # seq -> s
        self.pictures: list[weakref.ref[Array]] = []

    def frames(self, camera: config.Camera) -> Iterator[Frame]:
        for frame in frames_of(camera):
            self.came[frame.seq] = time.monotonic()
            self.pictures.append(weakref.ref(frame.image))
            yield frame

    def kept(self) -> int:
        return sum(picture() is not None for picture in self.pictures)


frames_of = pipeline.frames_of


class Sink:
    """Stops the pipeline after some looks."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.looked: list[tuple[float, int]] = []  # s, seq
        self.kept: list[int] = []
        self.stop: Callable[[], None] = lambda: None

    def on_scene(self, scene: Scene) -> None:
        self.looked.append((time.monotonic(), scene.frame.seq))
        self.kept.append(self.camera.kept())
        if len(self.looked) == LOOKS:
            self.stop()

    def on_camera(self, state: CameraState) -> None:
        pass


def test_age_is_one_look_and_one_period_and_nothing_piles_up(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera()
    monkeypatch.setattr(pipeline, "frames_of", camera.frames)
    settings = config.Config(
        cameras={"fast": config.camera("synthetic", size=(160, 120), rate=1000.0)},
        model=config.Model(threads=1),
        detect=config.Detect(mode="full"),
    )
    sink = Sink(camera)
    loop = pipeline.Pipeline(settings, pipeline.open_detector(settings), [sink])
    sink.stop = lambda: setattr(loop, "stopping", True)
    loop.run(60)

    assert len(sink.looked) - LOOKS in (0, 1)  # the one that was under way is told of too
    came = np.array(list(camera.came.values()))
    taken = [seq for _, seq in sink.looked]
    assert len(came) > 4 * LOOKS  # it was an overload
    assert loop.tally.dropped >= taken[-1] - taken[0] - LOOKS  # what was not looked at was dropped and counted
    period = float(np.diff(came).max())  # s, the longest in this very run
    for (before, _), (now, seq) in itertools.pairwise(sink.looked):
        assert now - camera.came[seq] <= 2 * ((now - before) + period)
    # one that the camera holds, one in the mailbox, one being looked at, and the last one
    assert max(sink.kept) <= 6
