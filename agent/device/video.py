"""Which cameras are connected, and what they can send: asked of V4L2's drivers and of picamera2, without a picture.

ioctls and structs are those of linux/videodev2.h (docs.kernel.org, userspace-api/media/v4l). A Pi's own nodes (sensor,
ISP, codecs) are left out: what they give only picamera2 understands.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_QUERYCAP, _ENUM_FMT, _ENUM_FRAMESIZES = 0x80685600, 0xC0405602, 0xC02C564A
_CAPTURE = 1  # of the capabilities, and of the kinds of buffers
_FIXED = 1  # a frame size of its own; others are ranges
_OF_THE_PI = ("bcm2835", "unicam", "rp1-cfe", "pispbe", "rpi", "stateful")  # how their drivers' names begin
_MOST = 32  # formats, sizes: a driver that never says "enough" is not asked for ever


def v4l2(dev: Path = Path("/dev")) -> Iterator[tuple[str, str]]:
    """(node, "name: MJPG 640x480 1280x720; YUYV 640x480") of each camera that may be asked."""
    for node in sorted(dev.glob("video*"), key=lambda path: (len(path.name), path.name)):
        with contextlib.suppress(OSError):
            fd = os.open(node, os.O_RDWR | os.O_NONBLOCK)
            try:
                if told := _told(fd):
                    yield str(node), told
            finally:
                os.close(fd)


def picamera() -> Iterator[tuple[str, str]]:
    """(number, "imx708: 1536x864 2304x1296") of each camera of the Pi's own. Raises what picamera2 raises."""
    library = importlib.import_module("picamera2").Picamera2
    for number, info in enumerate(library.global_camera_info()):
        camera = library(number)
        try:
            sizes = sorted({tuple(mode["size"]) for mode in camera.sensor_modes})
        finally:
            camera.close()
        yield str(number), f"{info.get('Model', '?')}: {_sizes(sizes)}"


def _told(fd: int) -> str:
    """A camera's name and modes; "" for what is none."""
    asked = bytearray(104)  # driver 16, card 32, bus 32, version, capabilities, those of this node
    fcntl.ioctl(fd, _QUERYCAP, asked)
    driver, name, _, _, _, abilities = struct.unpack_from("16s32s32sIII", asked)
    if not abilities & _CAPTURE or _text(driver).startswith(_OF_THE_PI):
        return ""
    formats = (f"{_text(fourcc)} {_sizes(_framesizes(fd, fourcc))}".strip() for fourcc in _formats(fd))
    return f"{_text(name)}: {'; '.join(formats)}"


def _formats(fd: int) -> Iterator[bytes]:
    for index in range(_MOST):
        asked = bytearray(struct.pack("II56x", index, _CAPTURE))
        try:
            fcntl.ioctl(fd, _ENUM_FMT, asked)
        except OSError:  # EINVAL: that was the last one
            return
        yield bytes(asked[44:48])


def _framesizes(fd: int, fourcc: bytes) -> list[tuple[int, int]]:
    """Sizes (width, height) px; of a range its ends."""
    found = []
    for index in range(_MOST):
        asked = bytearray(struct.pack("I4s36x", index, fourcc))
        try:
            fcntl.ioctl(fd, _ENUM_FRAMESIZES, asked)
        except OSError:
            break
        kind, *sides = struct.unpack_from("I6I", asked, 8)
        if kind == _FIXED:
            found.append((sides[0], sides[1]))
        else:
            return [(sides[0], sides[3]), (sides[1], sides[4])]
    return found


def _sizes(sizes: list[tuple[int, ...]] | list[tuple[int, int]]) -> str:
    return " ".join(f"{size[0]}x{size[1]}" for size in sizes)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("ascii", "replace").strip()
