"""What was set from outside: per camera, kept over restarts, read by the pipeline before each frame."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from agent import disk
from agent.areas import Point
from agent.data import NOT_JSON

log = logging.getLogger(__name__)
FILE = "switches.json"


class Wanted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one camera should do; None is what the config says."""

    detection: bool | None = None  # False: frames are taken, but not looked at
    confidence: float | None = None
    fps: float | None = None
    motion_masks: tuple[tuple[Point, ...], ...] | None = None  # 0..1; they stand in for the config's
    privacy_masks: tuple[tuple[Point, ...], ...] | None = None  # 0..1; added to the config's: nobody uncovers those


class Switches:
    """Written by one thread, read by any."""

    def __init__(self, cameras: Iterable[str], folder: Path | None, before: Switches | None = None) -> None:
        """`folder` None keeps them in memory only. A file that cannot be read is left aside with a warning.

        `before`: those of other cameras, with the same file; what is known there holds and is kept.
        """
        self._file = folder / FILE if folder else None
        self._wanted: dict[str, Wanted] = dict.fromkeys(cameras, Wanted())
        if before and before._file == self._file:
            self._wanted |= before._wanted
            return
        try:
            text = self._file.read_bytes() if self._file else b"{}"
            kept = msgspec.json.decode(text, type=dict[str, Wanted])
            self._wanted |= {camera: wanted for camera, wanted in kept.items() if camera in self._wanted}
        except FileNotFoundError:
            pass
        except (OSError, *NOT_JSON) as error:
            log.warning("%s: %s; the cameras do what the config says", self._file, error)

    def __getitem__(self, camera: str) -> Wanted:
        """What this camera should do now."""
        return self._wanted[camera]

    def put(self, camera: str, wanted: Wanted) -> None:
        """From now on, and after a restart. Raises OSError where it cannot be kept; it then holds until one."""
        self._wanted = {**self._wanted, camera: wanted}
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            disk.replace(self._file, msgspec.json.encode(self._wanted))
