"""What is hidden is black in every frame that leaves a camera's thread, at the very moment it is to be."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import cv2
import hypothesis
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.capture.mailbox import Mailbox
from agent.capture.privacy import Cover
from agent.capture.supervisor import Supervisor
from agent.data import Frame

SIZE = (64, 36)
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
coordinate = st.floats(0, 1)


def white(seq: int = 0, size: tuple[int, int] = SIZE) -> Frame:
    return Frame(np.full((size[1], size[0], 3), 255, np.uint8), seq, time.monotonic())


def painted(*masks: tuple[tuple[float, float], ...], size: tuple[int, int] = SIZE) -> Frame:
    frame = white(size=size)
    with Cover(masks) as cover:
        cover.paint(frame)
    return frame


def is_black(frame: Frame) -> bool:
    return not frame.image[:, : frame.size[0] // 2].any()


@hypothesis.settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=3), min_size=1, max_size=4))
def test_whatever_lies_in_any_mask_is_black_and_nothing_else(triangles: list[list[tuple[float, float]]]) -> None:
    size = (32, 18)
    image = painted(*map(tuple, triangles), size=size).image
    for y, x in itertools.product(range(size[1]), range(size[0])):
        inside = [
            cv2.pointPolygonTest((np.array(one) * size).astype(np.float32), (x + 0.5, y + 0.5), measureDist=True)
            for one in triangles
        ]
        if max(inside) > -0.5:  # px: an edge that runs through a pixel hides it
            assert not image[y, x].any(), (x, y)
        elif max(inside) < -4:
            assert image[y, x].all(), (x, y)


def test_where_two_masks_lie_over_one_another_it_stays_black() -> None:
    right = ((0.25, 0.0), (1.0, 0.0), (1.0, 1.0), (0.25, 1.0))
    assert not painted(LEFT, right).image.any()


def test_it_follows_the_size_of_the_picture_and_writes_into_the_frame_itself() -> None:
    cover = Cover((LEFT,))
    for size in ((64, 36), (128, 72), (64, 36)):
        frame = white(size=size)
        image = frame.image
        with cover:
            cover.paint(frame)
        assert frame.image is image
        assert is_black(frame)
        assert image[:, size[0] // 2 + 3 :].all()


def test_the_small_picture_that_some_cameras_give_besides_is_covered_as_well() -> None:
    frame = Frame(white(size=(128, 72)).image, 0, 0.0, white().image)
    with Cover((LEFT,)) as cover:
        cover.paint(frame)
    assert frame.small is not None
    assert is_black(frame)
    assert not frame.small[:, : SIZE[0] // 2].any()
    assert frame.small[:, SIZE[0] // 2 + 3 :].all()


def test_no_frame_made_before_a_change_is_handed_out_after_it() -> None:
    mailbox, cover, stopping = Mailbox(["x"]), Cover(), threading.Event()

    def frames() -> Iterator[Frame]:
        for seq in itertools.count():
            if stopping.is_set():
                return
            yield white(seq)

    supervisor = Supervisor("x", frames, mailbox, stale_s=60, live=True, noisy=False, cover=cover)
    supervisor.start()
    try:
        for n in range(100):
            masks = (LEFT,) if n % 2 else ()
            with cover:
                mailbox.discard("x")
                cover.hide(masks)
            seen = 0
            while seen < 3:
                item = mailbox.take(5)
                if isinstance(item, tuple):
                    seen += 1
                    assert is_black(item[1]) == bool(masks), n
    finally:
        stopping.set()
        supervisor.stop()


def test_a_camera_that_was_stopped_hands_over_nothing_more() -> None:
    mailbox, reading, go_on = Mailbox(["x"]), threading.Event(), threading.Event()

    def frames() -> Iterator[Frame]:
        reading.set()
        go_on.wait(10)
        yield white()

    supervisor = Supervisor("x", frames, mailbox, stale_s=60, live=True, noisy=False)
    supervisor.start()
    reading.wait(10)
    supervisor._run.saw = lambda *_: supervisor.stop()  # type: ignore[method-assign]  # at the last moment there is
    go_on.set()
    supervisor._run.thread.join(10)
    assert not [item for item in (mailbox.take(0), mailbox.take(0)) if isinstance(item, tuple)]
