"""A real network camera that misbehaves, under its supervisor: each fault is told, and each passes."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from agent.capture import supervisor as module
from agent.capture.cameras import CameraError, rtsp
from agent.capture.mailbox import Mailbox
from agent.capture.supervisor import Supervisor
from agent.data import CameraState, Frame
from tests.fakes.mosquitto import until
from tests.fakes.webcam import Webcam


class Watched:
    """A supervised camera, and what the pipeline would hear of it."""

    def __init__(self, frames: Callable[[], Iterator[Frame]], stale_s: float = 3.0) -> None:
        self.mailbox = Mailbox(["x"])
        self.states: list[CameraState] = []
        self.frames: list[Frame] = []
        self.supervisor = Supervisor("x", frames, self.mailbox, stale_s=stale_s, live=True, noisy=True)
        self.supervisor.start()

    def listen(self) -> None:
        item = self.mailbox.take(0.02)
        if isinstance(item, CameraState):
            self.states.append(item)
        elif item:
            self.frames.append(item[1])
        self.supervisor.check(time.monotonic())

    def until(self, condition: Callable[[], object], what: str) -> None:
        until(lambda: (self.listen(), condition())[1], what)

    def gets_frames(self, count: int = 5) -> None:
        wanted = len(self.frames) + count
        self.until(lambda: len(self.frames) >= wanted, f"{count} more frames")

    def goes(self, online: bool) -> None:
        self.until(lambda: self.states and self.states[-1].online == online, "online" if online else "offline")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_S", (0.05, 0.1, 0.2))


@pytest.fixture
def watched(webcam: Webcam) -> Iterator[Watched]:
    options = rtsp.Options(url=webcam.url, open_timeout_s=2, read_timeout_s=1)
    watched = Watched(lambda: rtsp.frames(options))
    watched.gets_frames()
    assert [s.online for s in watched.states] == [True]
    yield watched
    watched.supervisor.stop()


def test_corrupt_pictures_pass(webcam: Webcam, watched: Watched) -> None:
    webcam.corrupt = True
    watched.until(lambda: webcam.seq > 40, "corrupt pictures to be sent")
    webcam.corrupt = False
    watched.gets_frames()
    watched.goes(online=True)

    assert watched.frames[-1].size == (320, 192)
    assert tuple(watched.frames[-1].image[80, 80]) == pytest.approx((230, 0, 0), abs=12)
    assert watched.supervisor.abandoned == 0


def test_another_resolution_mid_stream_comes_scaled_to_the_size_it_was_opened_with(
    webcam: Webcam, watched: Watched
) -> None:
    webcam.size = (640, 384)  # the square now covers 20..60 of a picture of the first size

    def is_smaller() -> bool:
        image = watched.frames[-1].image
        return image[40, 40, 0] > 200 and image[80, 80, 0] < 150

    watched.until(is_smaller, "pictures of the new size")
    watched.gets_frames()

    assert watched.frames[-1].size == (320, 192)
    assert [s.online for s in watched.states] == [True]


def test_a_size_that_changes_without_reopening_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def frames() -> Iterator[Frame]:
        for seq in range(1000):
            shape = (48, 64, 3) if seq < 10 else (96, 160, 3)
            time.sleep(0.005)
            yield Frame(np.random.default_rng(seq).integers(0, 255, shape, np.uint8), seq, time.monotonic())

    watched = Watched(frames)
    watched.until(lambda: watched.frames and watched.frames[-1].size == (160, 96), "pictures of the new size")
    watched.supervisor.stop()

    assert [r.getMessage() for r in caplog.records if "is now" in r.getMessage()] == [
        "camera x: its picture is now 160x96, was 64x48"
    ]
    assert [s.online for s in watched.states] == [True]


def test_a_camera_that_falls_silent_is_lost_and_found_again(webcam: Webcam, watched: Watched) -> None:
    webcam.silent = True
    watched.goes(online=False)
    webcam.silent = False
    watched.goes(online=True)
    watched.gets_frames()

    assert "for 1 s" in watched.states[1].reason
    assert [s.online for s in watched.states] == [True, False, True]


def test_a_camera_that_is_unplugged_and_plugged_in_again(webcam: Webcam, watched: Watched) -> None:
    before = set(threading.enumerate())  # other tests in this process may have left some
    webcam.close()
    watched.goes(online=False)
    time.sleep(0.5)  # several attempts in vain, told once
    again = Webcam(webcam.port)
    try:
        watched.goes(online=True)
        watched.gets_frames()
    finally:
        again.close()

    assert [s.online for s in watched.states] == [True, False, True]
    assert len(set(threading.enumerate()) - before) < 20


def test_a_read_that_comes_round_late_is_ignored_and_forgotten() -> None:
    late = threading.Event()
    openings: list[int] = []

    def frames() -> Iterator[Frame]:
        openings.append(1)
        if len(openings) == 1:
            late.wait(30)
            yield Frame(np.zeros((48, 64, 3), np.uint8), 99, time.monotonic())
        for seq in range(10_000):
            time.sleep(0.01)
            yield Frame(np.random.default_rng(seq).integers(0, 255, (48, 64, 3), np.uint8), seq, time.monotonic())

    watched = Watched(frames, stale_s=0.3)
    watched.gets_frames()
    assert watched.supervisor.abandoned == 1
    late.set()
    watched.until(lambda: watched.supervisor.abandoned == 0, "the thread to end")
    watched.gets_frames()
    watched.supervisor.stop()

    assert 99 not in [f.seq for f in watched.frames]
    assert len(openings) == 2


def test_a_device_that_a_hanging_read_keeps_busy_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HELD_S", 0.6)
    release = threading.Event()
    openings: list[int] = []

    def frames() -> Iterator[Frame]:
        openings.append(1)
        if len(openings) > 1:
            raise CameraError("camera x: busy")
        release.wait(30)
        yield Frame(np.zeros((48, 64, 3), np.uint8), 0, 0.0)

    watched = Watched(frames, stale_s=0.2)
    try:
        with pytest.raises(CameraError, match="held by a read that hangs"):
            watched.until(lambda: False, "the end")
    finally:
        watched.supervisor.stop()
        release.set()
    assert len(openings) > 2  # it was tried again before


def test_a_camera_that_soon_fails_again_is_opened_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    openings: list[float] = []

    def frames() -> Iterator[Frame]:
        openings.append(time.monotonic())
        yield Frame(np.random.default_rng(len(openings)).integers(0, 255, (48, 64, 3), np.uint8), 0, time.monotonic())
        raise CameraError("camera x: gave one frame, as always")

    watched = Watched(frames)
    watched.until(lambda: len(openings) >= 5, "five openings")
    watched.supervisor.stop()

    assert openings[-1] - openings[-2] >= 0.2  # the last pause holds for ever
    assert openings[1] - openings[0] >= 0.05
