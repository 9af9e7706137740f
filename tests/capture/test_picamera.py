"""The Pi's camera, on a fake picamera2: colours, deadline, stamps, what is given back. The real one: tests/system/."""

import itertools
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from agent.capture.cameras import CameraError, picamera
from agent.data import Frame
from tests.fakes import picamera2 as fake

SIZE, LARGE = (320, 192), (1280, 720)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A Pi with one camera; the test may set Picamera2's attributes."""
    monkeypatch.setitem(sys.modules, "picamera2", fake)
    libcamera = SimpleNamespace(Transform=lambda **flips: flips, ColorSpace=SimpleNamespace(Smpte170m=lambda: "BT.601"))
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    return monkeypatch


def take(count: int, **options: object) -> list[Frame]:
    stream = picamera.frames(picamera.Options(**{"size": SIZE, **options}))  # type: ignore[arg-type]
    found = list(itertools.islice(stream, count))
    stream.close()  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("layout", [None, *picamera._TO_RGB])
def test_a_red_square_is_red_in_every_format(camera: pytest.MonkeyPatch, layout: str | None) -> None:
    camera.setattr(fake.Picamera2, "gives", layout)
    (frame,) = take(1)

    assert frame.size == SIZE
    assert frame.image.flags.c_contiguous
    assert frame.image.dtype == np.uint8
    assert np.abs(frame.image.astype(int) - fake.picture(SIZE))[50:90, 44:76].mean() < 12
    assert np.abs(frame.image[:40].astype(int) - 90).max() < 6


def test_rgb_is_what_is_asked_for(camera: pytest.MonkeyPatch) -> None:
    take(1, rate=7.0, vflip=True)

    wanted = fake.Picamera2.last.wanted
    assert wanted["main"] == {"size": SIZE, "format": "BGR888"}  # libcamera's name for bytes R, G, B
    assert wanted["controls"] == {"FrameRate": 7.0}
    assert wanted["transform"] == {"hflip": False, "vflip": True}
    assert wanted["colour_space"] == "BT.601"  # the one that OpenCV reads YUV with
    assert wanted["lores"] is None  # so small a picture needs no smaller one


def test_the_size_that_was_given_counts(camera: pytest.MonkeyPatch) -> None:
    camera.setattr(fake.Picamera2, "gives_size", (256, 144))

    assert take(1)[0].size == (256, 144)


@pytest.mark.parametrize("layout", [None, "NV12", "RGB888", "XRGB8888"])
def test_the_cameras_own_small_picture_comes_along_in_the_same_colours(
    camera: pytest.MonkeyPatch, layout: str | None
) -> None:
    camera.setattr(fake.Picamera2, "gives_small", layout)
    (frame,) = take(1, size=LARGE)

    assert frame.size == LARGE
    assert np.array_equal(frame.image, fake.picture(LARGE))
    assert frame.small is not None
    assert frame.small.shape == (360, 640, 3)
    assert frame.small.flags.c_contiguous
    assert np.abs(frame.small.astype(int) - fake.picture((640, 360)))[100:160, 90:150].mean() < 12
    assert fake.Picamera2.last.wanted["lores"] == {"size": (640, 360), "format": "YUV420"}  # a Pi 4 has no other


@pytest.mark.parametrize(
    ("size", "small"),
    [((640, 480), None), ((1279, 720), None), ((1282, 722), (640, 360)), ((4608, 2592), (1152, 648))],
)
def test_the_small_picture_is_large_enough_for_a_model(size: tuple[int, int], small: tuple[int, int] | None) -> None:
    assert picamera.small_size(size) == small


def test_a_camera_without_a_second_stream_does_without(camera: pytest.MonkeyPatch) -> None:
    camera.setattr(fake.Picamera2, "one_stream", True)
    (frame,) = take(1, size=LARGE)

    assert frame.small is None
    assert np.array_equal(frame.image, fake.picture(LARGE))


def test_a_small_picture_that_cannot_be_read_is_left(camera: pytest.MonkeyPatch) -> None:
    camera.setattr(fake.Picamera2, "gives_small", "SRGGB10")

    assert take(1, size=LARGE)[0].small is None


def test_a_frame_is_stamped_by_the_sensor(camera: pytest.MonkeyPatch) -> None:
    before = time.monotonic()
    frames = take(5)

    assert [f.seq for f in frames] == list(range(5))
    assert frames[0].t < before  # exposed 30 ms before it arrived
    assert all(a.t < b.t for a, b in itertools.pairwise(frames))


def test_without_a_stamp_arrival_counts(camera: pytest.MonkeyPatch) -> None:
    camera.setattr(fake.Picamera2, "stamped", False)
    before = time.monotonic()

    assert before <= take(1)[0].t <= time.monotonic()


@pytest.mark.parametrize("ago", [-5.0, 11.0, 1e6])
def test_a_stamp_of_another_clock_is_not_believed(ago: float) -> None:
    now = time.monotonic()

    assert picamera._monotonic(int((now - ago) * 1e9)) >= now


def test_every_buffer_goes_back_and_the_camera_is_closed(camera: pytest.MonkeyPatch) -> None:
    take(10)

    assert fake.Picamera2.last.held == 0
    assert fake.Picamera2.last.state == ["started", "stopped", "closed"]


def test_a_frame_that_does_not_come_is_told_and_the_camera_closed(camera: pytest.MonkeyPatch) -> None:
    camera.setattr(fake.Picamera2, "hangs_after", 3)

    with pytest.raises(CameraError, match=r"^camera 0: no frame for 2 s"):
        take(5, timeout_s=2)
    assert fake.Picamera2.last.state == ["started", "stopped", "closed"]


def test_a_busy_camera_is_one_line(camera: pytest.MonkeyPatch) -> None:
    camera.setattr(fake.Picamera2, "busy", True)

    with pytest.raises(CameraError, match=r"^camera 0: cannot be opened \(busy in another program: Failed"):
        take(1)


def test_a_camera_that_is_not_there_names_those_that_are(camera: pytest.MonkeyPatch) -> None:
    with pytest.raises(CameraError, match=r"^camera 1: not connected; there are: 0 imx708 "):
        take(1, camera=1)
    camera.setattr(fake.Picamera2, "connected", 0)
    with pytest.raises(CameraError, match=r"^camera 0: not connected; there are: none "):
        take(1)


def test_a_format_that_is_not_known_is_told(camera: pytest.MonkeyPatch) -> None:
    camera.setattr(fake.Picamera2, "gives", "SRGGB10")

    with pytest.raises(CameraError, match=r"^camera 0: gives SRGGB10, which is not known"):
        take(1)


def test_without_picamera2_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)

    with pytest.raises(CameraError, match="sudo apt install python3-picamera2"):
        take(1)
