"""The types that cross rooms, and the only ones: Frame, CameraState, Detections, Tracks, Event, Strange, Reading,
Scene.

One convention a quantity: boxes in px of the source frame (origin top-left, y down), times in
monotonic seconds, `size` = (width, height), `shape` = numpy's (height, width, ...).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
NOT_JSON = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)  # what decoding strangers' bytes may raise


_CREDENTIALS = re.compile(r"(\w+:/{0,2})[^\s\"'\\]*@")  # rtsp://user:secret@
_QUERY = re.compile(r"\?[^\s\"'\\]*=[^\s\"'\\]*")  # ?token=secret


def redacted(text: str) -> str:
    """The text without what addresses in it should keep to themselves: rtsp://user:secret@host/x?key=secret."""
    return _QUERY.sub("?***", _CREDENTIALS.sub(r"\1***@", text))


class LookoutError(Exception):
    """One line for the user: what failed, on what, what happens next. Ends a command with exit code 2, no traceback."""

    def __str__(self) -> str:
        return redacted(super().__str__())


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture from one camera."""

    image: Array  # (H, W, 3) uint8 RGB, C-contiguous; nobody writes to it once it has left agent/capture
    seq: int  # the camera's own counter, from 0; a gap means frames were lost
    t: float  # s, monotonic at exposure (at arrival, if the camera cannot tell)
    small: Array | None = None  # (h, w, 3) uint8 RGB, all of it scaled down by the camera itself; None: it cannot

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True, slots=True)
class CameraState:
    """A camera came or went; told once a change."""

    camera: str
    online: bool
    reason: str  # why it went, in words; "" when it came


class _Rows:
    """A struct of arrays: parallel columns of one length, indexed like one array."""

    __slots__ = ()
    columns: ClassVar[dict[str, tuple[type[np.generic], tuple[int, ...]]]]  # name -> dtype, shape of one row

    def __post_init__(self) -> None:
        n = len(getattr(self, next(iter(self.columns))))
        for name, (dtype, row) in self.columns.items():
            column: Array = getattr(self, name)
            if column.dtype != dtype or column.shape != (n, *row):
                expected = ", ".join(["N", *map(str, row)]) + ("" if row else ",")
                raise ValueError(
                    f"{name} must be {np.dtype(dtype)} ({expected}) with N = {n}, got {column.dtype} {column.shape}"
                )

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.columns))))

    def __getitem__(self, rows: Array | slice) -> Self:
        """The rows picked by a bool mask (N,), an index array or a slice; never a single int."""
        return type(self)(**{name: getattr(self, name)[rows] for name in self.columns})

    @classmethod
    def empty(cls) -> Self:
        return cls(**{name: np.zeros((0, *row), dtype) for name, (dtype, row) in cls.columns.items()})

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """All rows of all parts, in their order; empty() of no parts."""
        if not parts:
            return cls.empty()
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in cls.columns})


@dataclass(frozen=True, slots=True, eq=False)
class Detections(_Rows):
    """What a model saw in one frame; one row an object, rows by falling confidence."""

    columns: ClassVar[dict[str, tuple[type[np.generic], tuple[int, ...]]]] = {
        "xyxy": (np.float32, (4,)),
        "confidence": (np.float32, ()),
        "class_id": (np.int32, ()),
    }

    xyxy: Array  # (N, 4) float32 px: x_min, y_min, x_max, y_max
    confidence: Array  # (N,) float32 in 0..1
    class_id: Array  # (N,) int32, index into the model's labels


@dataclass(frozen=True, slots=True, eq=False)
class Tracks(_Rows):
    """Confirmed tracks of one frame; one row an object."""

    columns: ClassVar[dict[str, tuple[type[np.generic], tuple[int, ...]]]] = {
        "track_id": (np.int64, ()),
        "xyxy": (np.float32, (4,)),
        "velocity": (np.float32, (2,)),
        "confidence": (np.float32, ()),
        "class_id": (np.int32, ()),
        "age": (np.float32, ()),
        "missed": (np.float32, ()),
        "row": (np.int32, ()),
    }

    track_id: Array  # (N,) int64, from 1, owned by one Tracker, never reused
    xyxy: Array  # (N, 4) float32 px, filtered
    velocity: Array  # (N, 2) float32 px/s of the box centre
    confidence: Array  # (N,) float32 of the last match
    class_id: Array  # (N,) int32
    age: Array  # (N,) float32 s since first seen
    missed: Array  # (N,) float32 s looked for in vain; 0 with row -1: this frame did not look there
    row: Array  # (N,) int32, row in this frame's Detections, -1 if none


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """Something that happened, with the numbers that decided it."""

    kind: str  # track_start | track_update | track_end | anomaly_start | anomaly_end | ...
    t: float  # s, monotonic, of the frame that caused it
    seq: int  # Frame.seq of that frame
    source: str  # what raised it: the camera's name, a zone, an anomaly
    track_id: int | None
    detail: Mapping[str, Any]  # JSON-able: measured values and limits


@dataclass(frozen=True, slots=True, eq=False)
class Strange:
    """How unlike the normal pictures of one place a look at it was."""

    t: float  # s, monotonic, of the frame that was looked at
    xyxy: tuple[float, float, float, float]  # px of that frame: the place
    value: float  # of the strangest cells: how far beyond the usual distance, in usual spreads of it; may be < 0
    limit: float  # where `value` begins to be strange
    usual: tuple[float, float]  # values of normal pictures: median, highest
    heat: Array  # (h, w) float32, 0..1 over the place: 0.5 is the limit


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What second looks at a track, or at one place, say together."""

    t: float  # s, monotonic, of the frame that was looked at last
    value: str | float | None  # a name, a count, a share; None: nothing that is known
    confidence: float  # 0..1 in the value, or in the best that was not good enough
    looks: int  # that it rests on
    detail: Mapping[str, Any]  # JSON-able: the limit, areas, an outline


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything known about one frame of one camera; what anomalies and topics receive."""

    camera: str
    frame: Frame
    detections: Detections
    tracks: Tracks
    events: tuple[Event, ...]
    times: Mapping[str, float]  # ms per stage of this frame
    inside: Array = field(default_factory=lambda: np.zeros((0, 0), np.bool_))  # (Z, N): track n stands in zone z
    anomalies: tuple[Event, ...] = ()  # what began to be wrong in this frame, and what is over
    anomaly_score: float = 0.0  # 0..1, the strongest of this frame; 0.5 is a limit
    strange: Mapping[str, Strange] = field(default_factory=dict)  # anomaly -> what its second model has just said
    recognised: Mapping[int, Mapping[str, Reading]] = field(default_factory=dict)  # track -> [second.NAME] -> reading
    readings: Mapping[str, Reading] = field(default_factory=dict)  # [second.NAME] of a place -> the newest reading
    private: Array = field(default_factory=lambda: np.zeros((0, 4), np.float32))  # (K, 4) px xyxy: clear in no picture
    hidden: tuple[Sequence[tuple[float, float]], ...] = ()  # polygons, 0..1 of the frame, that are black in it
    seen: Array | None = None  # (R, 4) float32 px xyxy that the model was given of the frame; None: all of it
