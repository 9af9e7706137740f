"""The Raspberry Pi's own camera, through picamera2: stamped by its sensor, in RGB whatever the format is called.

    sensor ──▶ ISP ──┬── main   1280 x 720  BGR888  ──▶ Frame.image   crops, snapshots, the live page
                     └── lores   640 x 360  YUV420  ──▶ Frame.small   motion, and the model where it looks at all of it

The names of libcamera's formats are those of DRM, little-endian: "RGB888" lies in memory as B, G, R, and "BGR888"
as R, G, B. So "BGR888" is what is asked for; what was given is read back, since a pipeline that cannot give it
gives something else without a word, and `_TO_RGB` turns that into RGB. The second stream has to be YUV up to the Pi 4;
both are asked for in BT.601's colours, which are those that OpenCV reads YUV with. A camera or a board without room
for a second stream does without.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import cv2
import numpy as np
from msgspec import Meta, Struct

from agent.capture.cameras import CameraError
from agent.data import Array, Frame

LIVE = True
NOISY = True
log = logging.getLogger(__name__)
_ASKED, _ASKED_SMALL = "BGR888", "YUV420"
_SMALLEST = 640  # px: the small picture is at least so wide; models want 300 to 640, motion 180
_BUFFERS = 3  # one being exposed, one waiting, one in our hands
_OLDEST_S = 10.0  # a sensor's stamp that is older is of another clock

# libcamera's name -> (H', W', ...) as it lies in memory, (width, height) -> (H, W, 3) RGB
_TO_RGB: dict[str, Callable[[Array, tuple[int, int]], Array]] = {
    "BGR888": lambda a, size: a[:, : size[0]],
    "RGB888": lambda a, size: cv2.cvtColor(a[:, : size[0]], cv2.COLOR_BGR2RGB),
    "XBGR8888": lambda a, size: cv2.cvtColor(a[:, : size[0]], cv2.COLOR_RGBA2RGB),
    "XRGB8888": lambda a, size: cv2.cvtColor(a[:, : size[0]], cv2.COLOR_BGRA2RGB),
    "YUV420": lambda a, size: cv2.cvtColor(a, cv2.COLOR_YUV2RGB_I420)[:, : size[0]],
    "NV12": lambda a, size: cv2.cvtColor(a, cv2.COLOR_YUV2RGB_NV12)[:, : size[0]],
    "YUYV": lambda a, size: cv2.cvtColor(a.reshape(size[1], -1, 2)[:, : size[0]], cv2.COLOR_YUV2RGB_YUYV),
    "MJPEG": lambda a, _: a,  # picamera2 has decoded it
}


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.NAME] kind = "picamera"."""

    camera: Annotated[int, Meta(ge=0, le=15)] = 0  # which, as `rpicam-hello --list-cameras` numbers them
    size: tuple[Annotated[int, Meta(ge=64)], Annotated[int, Meta(ge=64)]] = (1280, 720)  # (width, height) px
    rate: Annotated[float, Meta(gt=0, le=240)] = 15.0  # frames a second
    hflip: bool = False
    vflip: bool = False
    timeout_s: Annotated[float, Meta(gt=0)] = 5.0  # a frame that takes longer means a camera that hangs


def frames(options: Options) -> Iterator[Frame]:
    """Frames as the sensor makes them, t = when it began to expose. Raises CameraError: absent, busy, silent."""
    name = f"camera {options.camera}"
    with _opened(options, name) as camera:
        streams = _streams(camera.camera_configuration(), name)
        told = " and ".join(f"{stream.name} {stream}" for stream in streams)
        log.info("%s: %s (asked for %dx%d %s)", name, told, *options.size, _ASKED)
        seq, last = 0, float("-inf")
        while True:
            arrays, stamp = _capture(camera, [stream.name for stream in streams], options.timeout_s, name)
            last = max(_monotonic(stamp), last + 1e-6)
            image, small, *_ = *map(_Stream.rgb, streams, arrays), None
            yield Frame(image, seq, last, small)
            seq += 1


@dataclass(frozen=True, slots=True)
class _Stream:
    """One of the camera's pictures, as it was negotiated."""

    name: str  # picamera2's: main, lores
    size: tuple[int, int]  # (width, height) px
    layout: str

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]} {self.layout}"

    def rgb(self, array: Array) -> Array:
        """(H, W, 3) uint8 RGB, C-contiguous, of what picamera2 copied out of the buffer."""
        return np.ascontiguousarray(_TO_RGB[self.layout](array, self.size))


def _streams(given: Mapping[str, Any], name: str) -> list[_Stream]:
    """The large picture and, where there is one that can be read, the small one."""
    main, *small = (
        _Stream(stream, tuple(given[stream]["size"]), given[stream]["format"])
        for stream in ("main", "lores")
        if given.get(stream)
    )
    if main.layout not in _TO_RGB:
        raise CameraError(f"{name}: gives {main.layout}, which is not known; there are: {', '.join(_TO_RGB)}")
    return [main, *(stream for stream in small if stream.layout in _TO_RGB)]


@contextlib.contextmanager
def _opened(options: Options, name: str) -> Iterator[Any]:
    """The camera, configured and running; closed at the end."""
    picamera2, libcamera = _library("picamera2"), _library("libcamera")
    found = picamera2.Picamera2.global_camera_info()
    if options.camera >= len(found):
        there = ", ".join(f"{n} {info.get('Model', '?')}" for n, info in enumerate(found)) or "none"
        raise CameraError(f"{name}: not connected; there are: {there} (see `rpicam-hello --list-cameras`)")
    camera = None
    try:
        try:
            camera = picamera2.Picamera2(options.camera)
            _configure(camera, options, libcamera, name)
            camera.start()
        except (RuntimeError, OSError, ValueError, IndexError) as error:
            raise CameraError(f"{name}: cannot be opened ({_reason(error)})") from error
        yield camera
    finally:
        if camera is not None:
            _close(camera)


def _configure(camera: Any, options: Options, libcamera: Any, name: str) -> None:
    """With a small picture beside the large one, or without where that cannot be had. Raises what picamera2 raises."""
    small = small_size(options.size)
    for lores in ({"size": small, "format": _ASKED_SMALL}, None) if small else (None,):
        wanted = camera.create_video_configuration(
            main={"size": options.size, "format": _ASKED},
            lores=lores,
            colour_space=libcamera.ColorSpace.Smpte170m(),
            controls={"FrameRate": options.rate},
            transform=libcamera.Transform(hflip=options.hflip, vflip=options.vflip),
            buffer_count=_BUFFERS,
        )
        try:
            camera.configure(wanted)
        except Exception as error:
            if lores is None:
                raise
            log.info("%s: no second stream beside the first (%s)", name, _reason(error))
        else:
            return


def small_size(size: tuple[int, int]) -> tuple[int, int] | None:
    """(width, height) px of the small picture: halved while it stays wide enough; None: the large one is small."""
    width, height = size
    while width >= 2 * _SMALLEST:
        width, height = width // 2, height // 2
    return None if (width, height) == size else (width // 2 * 2, height // 2 * 2)


def _close(camera: Any) -> None:
    """Without what waits for a frame that never comes: stop() would stand in line behind it for ever."""
    if hasattr(camera, "cancel_all_and_flush"):
        camera.cancel_all_and_flush()
    camera.stop()
    camera.close()


def _capture(camera: Any, streams: list[str], timeout_s: float, name: str) -> tuple[list[Array], int | None]:
    """One picture a stream, copied out of the camera's buffers, and the sensor's stamp in ns."""
    job = camera.capture_request(wait=False)
    try:
        request = camera.wait(job, timeout=timeout_s)
    except TimeoutError as error:
        raise CameraError(f"{name}: no frame for {timeout_s:g} s (cable? another program?)") from error
    try:
        metadata: Mapping[str, int] = request.get_metadata()
        return [request.make_array(stream) for stream in streams], metadata.get("SensorTimestamp")
    finally:
        request.release()


def _monotonic(stamp_ns: int | None) -> float:
    """Monotonic s of a sensor's stamp; now, where it has none or it is of another clock."""
    now = time.monotonic()
    if stamp_ns is None or not 0 <= now - stamp_ns / 1e9 <= _OLDEST_S:
        return now
    return stamp_ns / 1e9


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CameraError(
            f"camera: no {name} ({error}); sudo apt install python3-picamera2, and a venv with --system-site-packages"
        ) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    busy = "busy" in text.lower() or "did not complete" in text
    return f"busy in another program: {text}" if busy else text
