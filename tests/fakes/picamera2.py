"""picamera2 as narrow as the agent uses it: a red square on grey, in any of libcamera's formats, rows padded.

What it stands in for on real hardware (sensor, ISP, formats other than NV12) has never been run by its tests; the
real picamera2 runs on libcamera's virtual camera in `make test-system`, which gives nothing but NV12.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import cv2
import numpy as np

PADDING = 32  # bytes at the end of each row, as an ISP aligns them


def picture(size: tuple[int, int]) -> Any:
    """(H, W, 3) RGB: a red square left of the middle."""
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    image[height // 4 : height // 2, width // 8 : width // 4] = (230, 0, 0)
    return image


def in_memory(image: Any, layout: str) -> Any:
    """What picamera2.make_array gives of an RGB image for each of libcamera's names."""
    alpha = np.full((*image.shape[:2], 1), 255, np.uint8)
    if layout in ("YUV420", "NV12"):
        i420 = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
        if layout == "YUV420":  # padding stays: half as much on the chroma rows, two of which share a row
            height, width = image.shape[:2]
            luma = np.pad(i420[:height], ((0, 0), (0, PADDING)))
            chroma = np.pad(i420[height:].reshape(height, width // 2), ((0, 0), (0, PADDING // 2)))
            return np.concatenate([luma, chroma.reshape(height // 2, width + PADDING)])
        height, width = image.shape[:2]
        u, v = i420[height:].reshape(2, -1)
        return np.concatenate([i420[:height], np.stack([u, v], 1).reshape(height // 2, width)])
    if layout == "YUYV":
        yuv = cv2.cvtColor(image, cv2.COLOR_RGB2YUV)
        chroma = np.where(np.arange(image.shape[1]) % 2, yuv[..., 2], yuv[..., 1])
        return np.pad(np.stack([yuv[..., 0], chroma], 2), ((0, 0), (0, PADDING // 2), (0, 0)))
    return {
        "BGR888": image,
        "RGB888": image[..., ::-1],
        "XBGR8888": np.concatenate([image, alpha], 2),
        "XRGB8888": np.concatenate([image[..., ::-1], alpha], 2),
        "MJPEG": image,
    }[layout]


class Request:
    """A filled buffer; it must be given back."""

    def __init__(self, camera: Picamera2, stamp_ns: int | None) -> None:
        self._camera, self._stamp_ns = camera, stamp_ns
        camera.held += 1

    def make_array(self, name: str) -> Any:
        given = self._camera.camera_configuration()[name]
        return np.array(in_memory(picture(given["size"]), given["format"]))

    def get_metadata(self) -> dict[str, Any]:
        return {} if self._stamp_ns is None else {"SensorTimestamp": self._stamp_ns}

    def release(self) -> None:
        self._camera.held -= 1


class Picamera2:
    """One camera; class attributes say how it behaves."""

    connected: ClassVar[int] = 1
    gives: ClassVar[str | None] = None  # this format, whatever is asked
    gives_size: ClassVar[tuple[int, int] | None] = None
    gives_small: ClassVar[str | None] = None  # the same for the second stream
    one_stream: ClassVar[bool] = False  # a webcam's driver has no second one
    busy: ClassVar[bool] = False
    hangs_after: ClassVar[int] = 1_000_000  # frames
    stamped: ClassVar[bool] = True
    last: ClassVar[Picamera2]

    @staticmethod
    def global_camera_info() -> list[dict[str, str]]:
        return [{"Model": "imx708"}] * Picamera2.connected

    def __init__(self, index: int) -> None:
        if self.busy:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self.held = self.taken = 0
        self.state: list[str] = []
        self._waiting = False
        Picamera2.last = self

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        self.wanted = wanted
        return wanted

    def configure(self, wanted: dict[str, Any]) -> None:
        main, lores = wanted["main"], wanted["lores"]
        if lores and self.one_stream:
            raise RuntimeError("Configuration failed")
        self._given = {"main": {"size": self.gives_size or main["size"], "format": self.gives or main["format"]}}
        self._given["lores"] = lores and {"size": lores["size"], "format": self.gives_small or lores["format"]}

    def camera_configuration(self) -> dict[str, Any]:
        return self._given

    def start(self) -> None:
        self.state.append("started")

    def capture_request(self, wait: bool) -> object:
        assert wait is False
        self._waiting = True
        return object()

    def wait(self, job: object, timeout: float) -> Request:
        assert self.held == 0, "a buffer was not given back"
        self.taken += 1
        if self.taken > self.hangs_after:
            raise TimeoutError
        self._waiting = False
        exposed = time.monotonic_ns() - 30_000_000
        return Request(self, exposed if self.stamped else None)

    def cancel_all_and_flush(self) -> None:
        self._waiting = False

    def stop(self) -> None:
        assert not self._waiting, "stop() would wait behind a frame that never comes"
        self.state.append("stopped")

    def close(self) -> None:
        self.state.append("closed")
