"""Connected cameras: structs as the kernel fills them, nodes that are no cameras, drivers that never end.

A real driver (vivid) is asked in tests/system/vm-init.sh, real libcamera in tests/system/camera.py.
"""

import errno
import fcntl
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.device import video
from tests.fakes import picamera2 as fake

WEBCAM = {b"MJPG": [(640, 480), (1280, 720)], b"YUYV": [(640, 480)]}


class Driver:
    """Fills the structs of linux/videodev2.h."""

    def __init__(self, name: str, formats: dict[bytes, list[tuple[int, int]]], abilities: int = 1) -> None:
        self._name, self._formats, self._abilities = name, formats, abilities

    def ioctl(self, _: int, request: int, asked: bytearray) -> int:
        (index,) = struct.unpack_from("I", asked)
        if request == 0x80685600:
            struct.pack_into("16s32s32sIII", asked, 0, self._name.encode(), b"A camera", b"usb", 0, 1, self._abilities)
        elif request == 0xC0405602 and index < len(self._formats):
            assert struct.unpack_from("I", asked, 4) == (1,)
            struct.pack_into("I32s4s", asked, 8, 0, b"description", list(self._formats)[index])
        elif request == 0xC02C564A and index < len(sizes := self._formats[bytes(asked[4:8])]):
            struct.pack_into("III", asked, 8, 1, *sizes[index])
        else:
            raise OSError(errno.EINVAL, "Invalid argument")
        return 0


def listed(monkeypatch: pytest.MonkeyPatch, dev: Path, driver: Driver) -> list[tuple[str, str]]:
    (dev / "video0").touch()
    monkeypatch.setattr(fcntl, "ioctl", driver.ioctl)
    return list(video.v4l2(dev))


def test_a_webcam_is_listed_with_its_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = listed(monkeypatch, tmp_path, Driver("uvcvideo", WEBCAM))

    assert found == [(f"{tmp_path}/video0", "A camera: MJPG 640x480 1280x720; YUYV 640x480")]


@pytest.mark.parametrize(("name", "abilities"), [("bcm2835-codec", 1), ("rp1-cfe", 1), ("uvcvideo", 0x800000)])
def test_what_gives_no_pictures_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, abilities: int
) -> None:
    assert listed(monkeypatch, tmp_path, Driver(name, WEBCAM, abilities)) == []


def test_a_driver_that_never_ends_and_a_node_that_is_no_device_are_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "video0").touch()
    assert list(video.v4l2(tmp_path)) == []
    ((_, told),) = listed(monkeypatch, tmp_path, Driver("uvcvideo", {b"YUYV": [(8 * n, 6 * n) for n in range(999)]}))
    assert told.count("x") == 32


def test_the_pis_own_camera_is_listed_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = [{"size": (2304, 1296)}, {"size": (1536, 864)}, {"size": (1536, 864)}]
    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=fake.Picamera2))
    monkeypatch.setattr(fake.Picamera2, "sensor_modes", modes, raising=False)

    assert list(video.picamera()) == [("0", "imx708: 1536x864 2304x1296")]
    assert fake.Picamera2.last.state == ["closed"]
