"""The Raspberry Pi's own camera, through picamera2: stamped by its sensor, in RGB whatever the format is called.

The names of libcamera's formats are those of DRM, little-endian: "RGB888" lies in memory as B, G, R, and "BGR888"
as R, G, B. So "BGR888" is what is asked for; what was given is read back, since a pipeline that cannot give it
gives something else without a word, and `_TO_RGB` turns that into RGB.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import cv2
import numpy as np
from msgspec import Meta, Struct

from agent.capture.cameras import CameraError
from agent.data import Array, Frame

LIVE = True
NOISY = True
log = logging.getLogger(__name__)
_ASKED = "BGR888"
_BUFFERS = 3  # one being exposed, one waiting, one in our hands
_OLDEST_S = 10.0  # a sensor's stamp that is older is of another clock

# libcamera's name -> (H', W', ...) as it lies in memory, (width, height) -> (H, W, 3) RGB
_TO_RGB: dict[str, Callable[[Array, tuple[int, int]], Array]] = {
    "BGR888": lambda a, size: np.array(a[:, : size[0]]),
    "RGB888": lambda a, size: cv2.cvtColor(a[:, : size[0]], cv2.COLOR_BGR2RGB),
    "XBGR8888": lambda a, size: cv2.cvtColor(a[:, : size[0]], cv2.COLOR_RGBA2RGB),
    "XRGB8888": lambda a, size: cv2.cvtColor(a[:, : size[0]], cv2.COLOR_BGRA2RGB),
    "YUV420": lambda a, size: cv2.cvtColor(a, cv2.COLOR_YUV2RGB_I420)[:, : size[0]].copy(),
    "NV12": lambda a, size: cv2.cvtColor(a, cv2.COLOR_YUV2RGB_NV12)[:, : size[0]].copy(),
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
        given = camera.camera_configuration()["main"]
        size, layout = tuple(given["size"]), given["format"]
        log.info("%s: %dx%d %s (asked for %dx%d %s)", name, *size, layout, *options.size, _ASKED)
        if layout not in _TO_RGB:
            raise CameraError(f"{name}: gives {layout}, which is not known; there are: {', '.join(_TO_RGB)}")
        seq, last = 0, float("-inf")
        while True:
            image, stamp = _capture(camera, options.timeout_s, name)
            last = max(_monotonic(stamp), last + 1e-6)
            yield Frame(np.ascontiguousarray(_TO_RGB[layout](image, size)), seq, last)
            seq += 1


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
            camera.configure(
                camera.create_video_configuration(
                    main={"size": options.size, "format": _ASKED},
                    controls={"FrameRate": options.rate},
                    transform=libcamera.Transform(hflip=options.hflip, vflip=options.vflip),
                    buffer_count=_BUFFERS,
                )
            )
            camera.start()
        except (RuntimeError, OSError, ValueError, IndexError) as error:
            raise CameraError(f"{name}: cannot be opened ({_reason(error)})") from error
        yield camera
    finally:
        if camera is not None:
            _close(camera)


def _close(camera: Any) -> None:
    """Without what waits for a frame that never comes: stop() would stand in line behind it for ever."""
    if hasattr(camera, "cancel_all_and_flush"):
        camera.cancel_all_and_flush()
    camera.stop()
    camera.close()


def _capture(camera: Any, timeout_s: float, name: str) -> tuple[Array, int | None]:
    """One picture, copied out of the camera's buffer, and the sensor's stamp in ns."""
    job = camera.capture_request(wait=False)
    try:
        request = camera.wait(job, timeout=timeout_s)
    except TimeoutError as error:
        raise CameraError(f"{name}: no frame for {timeout_s:g} s (cable? another program?)") from error
    try:
        metadata: Mapping[str, int] = request.get_metadata()
        return request.make_array("main"), metadata.get("SensorTimestamp")
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
