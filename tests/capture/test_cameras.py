"""Every kind of camera keeps the contract; those without their hardware skip, saying so."""

import itertools
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent import plugins
from agent.capture.cameras import CameraError, file, rtsp, synthetic, v4l2
from tests.fakes.webcam import Webcam

KINDS = plugins.names("capture/cameras")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames, 96×64, 12 fps, a red square that walks right on grey."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.0, (96, 64))
    for n in range(12):
        image = np.full((64, 96, 3), 90, np.uint8)
        image[20:40, 4 * n : 4 * n + 20] = (0, 0, 230)  # BGR
        writer.write(image)
    writer.release()
    return path


@pytest.fixture
def options(clip: Path, webcam: Webcam) -> dict[str, Any]:
    """Options for each kind that this machine can open."""
    known: dict[str, Any] = {
        "rtsp": rtsp.Options(url=webcam.url),
        "file": file.Options(clip, pace="max"),
        "synthetic": synthetic.Options(size=(320, 192), rate=50, pace="max"),
    }
    if Path("/dev/video0").exists():
        known["v4l2"] = v4l2.Options()
    return known


@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind: str, options: dict[str, Any]) -> None:
    if kind not in options:
        pytest.skip(f"no {kind} camera on this machine")
    module = plugins.get("capture/cameras", kind)
    assert isinstance(module.LIVE, bool)
    assert isinstance(module.NOISY, bool)

    stream = module.frames(options[kind])
    frames = list(itertools.islice(stream, 6))
    stream.close()

    assert [f.seq for f in frames] == list(range(6))
    assert all(a.t < b.t for a, b in itertools.pairwise(frames))
    for f in frames:
        assert f.image.dtype == np.uint8
        assert f.image.shape == (f.size[1], f.size[0], 3)
        assert f.image.flags.c_contiguous
    assert not np.shares_memory(frames[0].image, frames[1].image)


def test_a_red_square_is_red(clip: Path) -> None:
    first = next(file.frames(file.Options(clip, pace="max")))

    red, green, blue = first.image[30, 10].astype(int)
    assert red > 150
    assert max(green, blue) < 80


def test_clip_time_is_its_own_when_flat_out(clip: Path) -> None:
    times = [f.t for f in file.frames(file.Options(clip, pace="max"))]

    assert np.allclose(np.diff(times), 1 / 12, atol=2e-3)
    assert times[0] == pytest.approx(0, abs=1e-6)
    assert len(times) == 12


def test_clip_keeps_its_pace_in_real_time(clip: Path) -> None:
    begin = time.monotonic()
    frames = list(file.frames(file.Options(clip)))

    assert time.monotonic() - begin >= 11 / 12  # it may be late, never early
    assert np.allclose(np.diff([f.t for f in frames]), 1 / 12, atol=2e-3)


def test_a_looped_clip_goes_on_rising(clip: Path) -> None:
    frames = list(itertools.islice(file.frames(file.Options(clip, pace="max", loop=True)), 30))

    assert [f.seq for f in frames] == list(range(30))
    assert np.allclose(np.diff([f.t for f in frames]), 1 / 12, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.avi", None, "no such file"),
        ("noise.avi", b"\x00\x01not a clip" * 500, "not a video that can be read"),
        ("empty.avi", b"", "not a video that can be read"),
    ],
)
def test_bad_clip_is_one_line(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CameraError) as error:
        next(file.frames(file.Options(path)))

    assert str(error.value) == f"clip {path}: {words}"


def test_clip_without_frames_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "none.avi"
    cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.0, (96, 64)).release()

    with pytest.raises(CameraError, match=r"none\.avi: (no frame in it can be decoded|not a video)"):
        next(file.frames(file.Options(path)))


def test_absent_webcam_is_one_line() -> None:
    with pytest.raises(CameraError, match=r"^camera /dev/video99: no such device$"):
        next(v4l2.frames(v4l2.Options(device=99)))


def test_network_camera_that_refuses_is_named_without_its_password() -> None:
    options = rtsp.Options(url="rtsp://me:secret@127.0.0.1:9/stream", open_timeout_s=3)

    with pytest.raises(CameraError) as error:
        next(rtsp.frames(options))

    assert str(error.value) == "camera rtsp://127.0.0.1:9/stream: cannot be opened within 3 s"


def test_synthetic_truth_is_where_the_blocks_are() -> None:
    options = synthetic.Options(size=(640, 480), objects=2, noise=0, pace="max")
    wall = next(synthetic.frames(synthetic.Options(size=(640, 480), objects=0, noise=0, pace="max"))).image
    for f in itertools.islice(synthetic.frames(options), 0, 50, 7):
        changed = np.any(f.image != wall, axis=2)
        changed[: synthetic.STAMP_CELL] = False
        drawn = np.zeros_like(changed)
        for x1, y1, x2, y2 in synthetic.truth(options, f.t).round().astype(int):
            drawn[y1:y2, x1:x2] = True
        assert changed[drawn].mean() > 0.95
        assert not changed[~drawn].any()


def test_synthetic_frame_carries_its_number() -> None:
    frames = synthetic.frames(synthetic.Options(rate=100, pace="max"))

    assert [synthetic.stamped_seq(f.image) for f in itertools.islice(frames, 300)] == list(range(300))


def test_synthetic_scene_ends_when_it_is_told_to() -> None:
    assert len(list(synthetic.frames(synthetic.Options(rate=10, seconds=2, pace="max")))) == 20
