"""A camera's thread: reopened when it fails, given up when it hangs, told on every change."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from agent.capture.cameras import CameraError
from agent.capture.mailbox import Mailbox
from agent.capture.supervisor import Supervisor
from agent.data import CameraState, Frame
from tests.build import frame


def noisy(seq: int) -> Frame:
    return Frame(np.random.default_rng(seq).integers(0, 255, (48, 64, 3), np.uint8), seq, time.monotonic())


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def states(mailbox: Mailbox) -> list[CameraState]:
    found = []
    while (item := mailbox.take(0)) is not None:
        if isinstance(item, CameraState):
            found.append(item)
    return found


def test_a_camera_that_fails_is_reopened_and_both_are_told_once() -> None:
    openings = []

    def frames() -> Iterator[Frame]:
        openings.append(1)
        if len(openings) == 2:
            raise CameraError("camera x: unplugged")
        yield noisy(len(openings))
        if len(openings) == 1:
            raise CameraError("camera x: gave no frame")
        while True:
            time.sleep(0.01)
            yield noisy(0)

    mailbox = Mailbox(["x"])
    supervisor = Supervisor("x", frames, mailbox, stale_s=5, live=True, noisy=False)
    supervisor.start()
    wait_for(lambda: len(openings) == 3)
    wait_for(lambda: isinstance(mailbox.take(0), tuple) or len(openings) > 2)
    time.sleep(0.1)
    supervisor.stop()

    told = states(mailbox)
    assert [s.online for s in told] in ([True, False, True], [False, True], [True])
    assert len(openings) == 3


def test_a_clip_that_cannot_be_read_ends_the_run() -> None:
    def frames() -> Iterator[Frame]:
        raise CameraError("clip x: no such file")
        yield frame()

    mailbox = Mailbox(["x"])
    Supervisor("x", frames, mailbox, stale_s=5, live=False, noisy=False).start()

    with pytest.raises(CameraError, match="no such file"):
        mailbox.take(10)


def test_the_end_of_a_source_is_its_end() -> None:
    mailbox = Mailbox(["x"])
    Supervisor("x", lambda: iter([frame()]), mailbox, stale_s=5, live=False, noisy=False).start()

    wait_for(lambda: mailbox.take(0) is None and mailbox.ended)


def test_three_reads_that_hang_are_abandoned_and_then_fatal() -> None:
    release = threading.Event()

    def frames() -> Iterator[Frame]:
        release.wait(30)
        yield frame()

    mailbox = Mailbox(["x"])
    supervisor = Supervisor("x", frames, mailbox, stale_s=0.05, live=True, noisy=True)
    supervisor.start()
    before = threading.active_count()
    try:
        with pytest.raises(CameraError, match="3 reads hang"):
            wait_for(lambda: supervisor.check(time.monotonic()) is not None)
        assert supervisor.abandoned == 3
        assert threading.active_count() - before <= 2
        assert [s.reason for s in states(mailbox)] == ["no frame for 0.05 s"]
    finally:
        release.set()


def test_a_frozen_picture_is_noticed_where_the_sensor_is_noisy() -> None:
    openings = []

    def frames() -> Iterator[Frame]:
        openings.append(1)
        still = noisy(1)
        while True:
            time.sleep(0.01)
            yield still

    mailbox = Mailbox(["x"])
    supervisor = Supervisor("x", frames, mailbox, stale_s=0.2, live=True, noisy=True)
    supervisor.start()

    def reopened() -> bool:
        supervisor.check(time.monotonic())
        return len(openings) == 2

    wait_for(reopened)
    supervisor.stop()
    assert supervisor.abandoned == 0
    assert "the same picture for 0.2 s" in [s.reason for s in states(mailbox)]


def test_a_picture_that_stays_is_fine_where_no_noise_is_expected() -> None:
    still = frame()

    def frames() -> Iterator[Frame]:
        while True:
            time.sleep(0.01)
            yield still

    supervisor = Supervisor("x", frames, Mailbox(["x"]), stale_s=0.2, live=True, noisy=False)
    supervisor.start()
    deadline = time.monotonic() + 0.6
    while time.monotonic() < deadline:
        time.sleep(0.02)
        supervisor.check(time.monotonic())
    supervisor.stop()
    assert supervisor.abandoned == 0
