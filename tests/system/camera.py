"""Inside the root file system: the agent's picamera plugin on the real picamera2 and libcamera's virtual camera.

The sensor is a row of pictures, on each a red box further to the right. Real here: picamera2, libcamera's core, the
requests and buffers. Not: sensor, ISP, formats but NV12, dma-heaps, pace. Prints RESULT pass, or fails.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import re
import sys
from typing import Any

import cv2
import numpy as np

FRAMES, STUBS = pathlib.Path("/opt/test/frames"), pathlib.Path("/opt/test/stubs")
SIZE, BOX, STEP = (1280, 720), 120, 90


# Of the display that picamera2 imports and nobody uses here: any attribute is its own name.
PYKMS = """
class Names(type):
    def __getattr__(cls, name): return name
class PixelFormat(metaclass=Names): ...
class PlaneType(metaclass=Names): ...
"""


def draw() -> None:
    FRAMES.mkdir(parents=True, exist_ok=True)
    for n in range(10):
        image = np.full((SIZE[1], SIZE[0], 3), 100, np.uint8)
        image[200 : 200 + BOX, 40 + n * STEP : 40 + n * STEP + BOX] = (0, 0, 220)  # BGR
        cv2.imwrite(str(FRAMES / f"{n}.jpg"), image)


def patch_for_the_virtual_camera() -> None:
    """It has no raw stream, no single-plane buffers and no display; nothing else of picamera2 is touched."""
    STUBS.mkdir(parents=True, exist_ok=True)
    (STUBS / "pykms.py").write_text(PYKMS)
    sys.path.insert(0, str(STUBS))
    os.environ["PYTHONPATH"] = str(STUBS)  # for the doctor's child
    import libcamera
    import picamera2.picamera2 as module
    from picamera2.allocators import LibcameraAllocator

    def raw_modes(self: Any) -> list[dict[str, Any]]:
        formats = self.camera.generate_configuration([libcamera.StreamRole.Viewfinder]).at(0).formats
        return [
            {"format": str(p), "size": (s.width, s.height)} for p in formats.pixel_formats for s in formats.sizes(p)
        ]

    class Allocator(LibcameraAllocator):
        owner: Any = None

        def __init__(self) -> None:
            super().__init__(None)

        def allocate(self, config: Any, use: Any) -> None:
            self.camera = self.owner.camera
            super().allocate(config, use)

    configure = module.Picamera2.configure

    def owned(self: Any, *arguments: Any) -> Any:
        Allocator.owner = self
        return configure(self, *arguments)

    module.Picamera2._get_raw_modes, module.Picamera2.configure = raw_modes, owned
    module.Picamera2.sensor_modes = property(raw_modes)
    module.DmaAllocator = Allocator


def box_of(image: np.ndarray) -> tuple[int, int]:
    """Left and right edge of what is red, in px of the large picture."""
    scale = SIZE[0] // image.shape[1]
    red = (image[..., 0] > 150) & (image[..., 1] < 80) & (image[..., 2] < 80)
    columns = np.flatnonzero(red[200 // scale : (200 + BOX) // scale].mean(0) > 0.8)
    return int(columns[0]) * scale, (int(columns[-1]) + 1) * scale


def main() -> None:
    draw()
    patch_for_the_virtual_camera()
    from picamera2 import Picamera2

    from agent.capture.cameras import CameraError, picamera
    from agent.device import software, video

    cameras = [info["Model"] for info in Picamera2.global_camera_info()]
    print("cameras:", cameras)
    index = cameras.index("Test clip")
    lefts = set()
    for opening in range(3):  # it can be opened again and again
        stream = picamera.frames(picamera.Options(camera=index, size=SIZE, rate=30))
        frames = list(itertools.islice(stream, 30))
        stream.close()
        assert [f.seq for f in frames] == list(range(30)), opening
        assert all(a.t < b.t for a, b in itertools.pairwise(frames))
        for frame in frames:
            assert frame.size == SIZE
            assert frame.image.flags.c_contiguous
            left, right = box_of(frame.image)
            assert abs((left - 40) % STEP) <= 2 or abs((left - 40) % STEP - STEP) <= 2, left
            assert abs(right - left - BOX) <= 4
            assert frame.small is not None, "no second stream"
            assert frame.small.shape == (SIZE[1] // 2, SIZE[0] // 2, 3)
            assert np.abs(np.subtract(box_of(frame.small), (left, right))).max() <= 4, "two moments, or two views"
            lefts.add(round((left - 40) / STEP))
    assert len(lefts) >= 5, lefts
    doctor_names(software, video)
    try:
        next(picamera.frames(picamera.Options(camera=7)))
        raise AssertionError("camera 7 cannot be there")
    except CameraError as error:
        print(error)
    print("RESULT pass: picamera2", cameras, "boxes at", sorted(lefts))


def doctor_names(software: Any, video: Any) -> None:
    """What `lookout doctor` says of it: both versions, and the camera with its size."""
    found = software.picamera2()
    print(found)
    assert found.grade == "good", found
    assert re.fullmatch(r"picamera2 [\d.]+ with libcamera v[\d.+a-z-]+", found.text), found
    listed = dict(video.picamera())
    assert listed["0"].startswith("Test clip: "), listed
    assert "1280x720" in listed["0"], listed


main()
