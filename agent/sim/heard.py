"""What a subscriber was told: payloads decoded leniently, counted, and kept no longer than they are shown."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

_LATEST = 20  # messages whose latency is averaged for the eye
_SANE = 60.0  # s; a frame "older" than this has the time of a clip, not of a clock
_UTC = Annotated[datetime, Meta(tz=True)]


class Reading(Struct, frozen=True):
    """What a second look says of a track."""

    value: str | float | None = None  # None: unknown


class Track(Struct, frozen=True):
    """One object of a detections message, as far as it is shown."""

    id: int = 0
    label: str = "?"
    confidence: float = 0.0
    age: float = 0.0  # s since first seen
    recognised: dict[str, Reading] = {}  # by [second.NAME]

    @property
    def names(self) -> str:
        """What second looks call it, "" where they do not know."""
        return ", ".join(str(reading.value) for reading in self.recognised.values() if reading.value is not None)


class Detections(Struct, frozen=True):
    """`<camera>/detections`, as far as it is shown; unknown keys are skipped, missing ones have a default."""

    time: _UTC | None = None  # when the frame was exposed
    age_ms: float = 0.0  # from exposure to this message
    fps: float | None = None
    times_ms: dict[str, float] = {}
    tracks: tuple[Track, ...] = ()


class Happening(Struct, frozen=True):
    """`<camera>/events`, as far as it is shown."""

    kind: str = "?"
    time: _UTC | None = None  # kept in local time
    camera: str | None = ""  # None: the device itself
    track: int | None = None
    label: str | None = None


@dataclass(slots=True)
class Camera:
    """The latest of one camera."""

    online: bool | None = None  # None: not told
    said: Detections = field(default_factory=Detections)
    at: float = float("-inf")  # s, monotonic, when that came
    latency: deque[float] = field(default_factory=lambda: deque(maxlen=_LATEST))  # s, frame exposed -> message here


class Heard:
    """A subscriber's notebook for one device. Takes anything; what cannot be read is counted and named."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.online: bool | None = None  # the device's own status
        self.cameras: dict[str, Camera] = {}
        self.events: deque[Happening] = deque(maxlen=50)
        self.topics: Counter[str] = Counter()  # messages by topic, without "lookout/<device>/"
        self.retained = 0  # of them, kept by the broker from before we subscribed
        self.unreadable = 0
        self.trouble = ""  # the last unreadable one: topic and reason
        self.frames = 0  # detections messages
        self.objects = 0  # tracks in them
        self.tracks: set[tuple[str, int]] = set()  # (camera, id)
        self.names: dict[tuple[str, int], str] = {}  # (camera, id) -> what second looks said of it last
        self.latency: deque[float] = deque(maxlen=10_000)  # s, over all cameras, for the summary

    @property
    def messages(self) -> int:
        """All that came."""
        return self.topics.total()

    @property
    def live(self) -> int:
        """What was sent while we listened."""
        return self.messages - self.retained

    def take(self, topic: str, payload: bytes, retained: bool, now: float, wall: float) -> None:
        """One message that arrived at `now` (monotonic s) = `wall` (Unix s); never raises."""
        tail = topic.removeprefix(f"lookout/{self.device}/")
        self.topics[tail] += 1
        self.retained += retained
        camera, _, kind = tail.rpartition("/")
        try:
            if kind == "status":
                self._status(camera, payload)
            elif kind == "detections":
                self._detections(camera, payload, now, wall)
            elif kind == "events":
                self._event(payload)
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            self.unreadable += 1
            self.trouble = f"{tail}: {error}"

    def _status(self, camera: str, payload: bytes) -> None:
        if payload not in (b"online", b"offline"):
            raise ValueError(f"neither online nor offline: {payload[:20]!r}")
        online = payload == b"online"
        if camera:
            self.cameras.setdefault(camera, Camera()).online = online
        else:
            self.online = online

    def _event(self, payload: bytes) -> None:
        said = msgspec.json.decode(payload, type=Happening)
        self.events.append(replace(said, time=said.time.astimezone()) if said.time else said)

    def _detections(self, name: str, payload: bytes, now: float, wall: float) -> None:
        said = msgspec.json.decode(payload, type=Detections)
        camera = self.cameras.setdefault(name, Camera())
        camera.said, camera.at = said, now
        camera.online = camera.online or None  # one that speaks is not offline, whatever it said before
        self.frames += 1
        self.objects += len(said.tracks)
        self.tracks.update((name, track.id) for track in said.tracks)
        self.names |= {(name, track.id): track.names or "unknown" for track in said.tracks if track.recognised}
        if said.time is not None and abs(latency := wall - said.time.timestamp()) < _SANE:
            camera.latency.append(max(0.0, latency))  # `time` is rounded to ms
            self.latency.append(max(0.0, latency))
