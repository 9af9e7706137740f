"""Pictures of what happened, on the disk: bounded in bytes, days and what must stay free; they outlive a restart.

    pipeline ──keep──▶ queue of a few ──▶ thread: shrink, encode, make room, write whole or not at all

A file is a JPEG that carries its message as a comment, named by the message's id (UUIDv7: names sort by time). What
a client asks for is looked up among the ids that are there; nothing of a client's ever becomes part of a path.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from agent import disk
from agent.data import NOT_JSON, Scene
from agent.publish.clock import Clock
from agent.publish.commands import Limiter
from agent.publish.pictures import cut, fitted, jpeg, shown
from agent.sections import Snapshots

log = logging.getLogger(__name__)
_NAME = re.compile(r"\.?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jpg")
_WAITING = 4  # pictures for the disk; each holds a frame
_BURST = 10  # pictures at once, before per_hour tells
_EVERY_S = 3600.0  # of quiet, after which it is looked for what is too old
_CLOSE_S = 5.0
_MOST = 65_000  # bytes of a JPEG's comment; its length is a 16-bit number
_MB = 1e6
Box = tuple[float, float, float, float]


class Album:
    """A folder of ours. `keep` never waits; a disk that is full or hangs costs pictures, and one warning."""

    def __init__(self, options: Snapshots, folder: Path, clock: Clock) -> None:
        self._options, self._folder, self._clock = options, folder, clock
        self._kept: dict[str, int] = {}  # id -> bytes
        self._limiter = Limiter(_BURST, options.per_hour / 3600)
        self._jobs: queue.Queue[tuple[Mapping[str, Any], Scene, Box | None] | None] = queue.Queue(_WAITING)
        self._trouble = ""
        self._thread = threading.Thread(target=self._work, name="album", daemon=True)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._kept = _found(folder)
        except OSError as error:
            self._complain(f"{error.strerror or error}")

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """What waits is written, if the disk is quick."""
        if self._thread.ident:
            try:
                self._jobs.put(None, timeout=_CLOSE_S)
            except queue.Full:
                return
            self._thread.join(_CLOSE_S)

    def keep(self, told: Mapping[str, Any], scene: Scene, box: Box | None, *, always: bool) -> bool:
        """Have a picture of the scene, or of a box (px) of it, kept with its message; False: there will be none.

        `always`: however many there were in this hour.
        """
        if not always and not self._limiter.allows(scene.frame.t):
            return False
        try:
            self._jobs.put_nowait((told, scene, box))
        except queue.Full:
            return False
        return True

    def picture(self, name: str) -> bytes | None:
        """JPEG of this id; None where there is none, or not any more."""
        if name not in self._kept:
            return None
        try:
            return self._path(name).read_bytes()
        except OSError:
            return None

    def recent(self, count: int) -> list[dict[str, Any]]:
        """The messages of the newest pictures, oldest first."""
        told = (self._note(name) for name in sorted(self._kept)[-count:])
        return [one for one in told if one]

    def _work(self) -> None:
        wait = 0.0  # s; what an earlier run left is looked through at once
        while True:
            job: tuple[Any, ...] | None = ()
            with contextlib.suppress(queue.Empty):
                job = self._jobs.get(timeout=wait)
            wait = _EVERY_S
            if job is None:
                return
            try:
                if job:
                    self._write(*job)
                else:
                    self._make_room(0)
            except OSError as error:
                self._complain(f"{error.strerror or error}")
            except Exception:  # the next one is kept all the same
                log.exception("snapshots: unexpected")

    def _write(self, told: Mapping[str, Any], scene: Scene, box: Box | None) -> None:
        picture = fitted(shown(scene) if box is None else cut(scene, box), self._options.width)
        data = _noted(jpeg(picture, self._options.jpeg_quality), told)
        if not self._make_room(len(data)):
            self._complain(f"less than {self._options.free_mb:g} MB are free")
            return
        path = self._path(told["id"])
        try:
            disk.replace(path, data)
        except OSError:
            path.with_name(f".{path.name}").unlink(missing_ok=True)
            raise
        self._kept[told["id"]] = len(data)
        self._trouble = ""

    def _make_room(self, size: int) -> bool:
        """Delete the oldest until `size` bytes more are within all limits; False where even that is not enough."""
        limits, clock = self._options, self._clock
        oldest_s = clock.wall(clock.monotonic()) - limits.max_days * 86400 if clock.trusted() else 0.0
        total = sum(self._kept.values())
        for name in sorted(self._kept):
            is_old = int(name[:8] + name[9:13], 16) / 1e3 < oldest_s  # UUIDv7 begins with Unix ms (RFC 9562)
            if not is_old and total + size <= limits.max_mb * _MB and self._is_free(size):
                break
            self._path(name).unlink(missing_ok=True)
            total -= self._kept.pop(name)
        return self._is_free(size)

    def _is_free(self, size: int) -> bool:
        room = os.statvfs(self._folder)
        return room.f_bavail * room.f_frsize - size >= self._options.free_mb * _MB

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.jpg"

    def _note(self, name: str) -> dict[str, Any] | None:
        """The message that a picture carries."""
        try:
            with self._path(name).open("rb") as file:
                head = file.read(_MOST + 100)
            begin = 4 + int.from_bytes(head[4:6], "big")  # behind JFIF's segment
            length = int.from_bytes(head[begin + 2 : begin + 4], "big")
            return msgspec.json.decode(head[begin + 4 : begin + 2 + length], type=dict[str, Any])
        except (OSError, *NOT_JSON):
            return None

    def _complain(self, trouble: str) -> None:
        """Once, until a picture could be written again."""
        if not self._trouble:
            log.warning("snapshots: %s: %s; pictures are not kept until that is mended", self._folder, trouble)
        self._trouble = trouble


def _found(folder: Path) -> dict[str, int]:
    """id -> bytes of what an earlier run left; what it had not written to its end is deleted."""
    found = {}
    for entry in os.scandir(folder):
        match = _NAME.fullmatch(entry.name)
        if match and entry.name.startswith("."):
            Path(entry.path).unlink()
        elif match:
            found[match[1]] = entry.stat().st_size
    return found


def _noted(picture: bytes, told: Mapping[str, Any]) -> bytes:
    """The JPEG with its message as a comment (COM, ITU-T T.81 B.2.4.5), behind JFIF's segment."""
    note = msgspec.json.encode(told)
    if len(note) > _MOST:
        note = msgspec.json.encode({**told, "detail": {}})
    begin = 4 + int.from_bytes(picture[4:6], "big")
    return b"".join((picture[:begin], b"\xff\xfe", (len(note) + 2).to_bytes(2, "big"), note, picture[begin:]))
