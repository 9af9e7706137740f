"""Scene, Event, Health -> payload -> JSON bytes.

The only place that rounds, normalises boxes and stamps wall time: inside, boxes are px and times monotonic;
here boxes are 0..1 of the frame with 4 decimals and times RFC 3339 UTC with ms.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType

from agent.boxes import clip_xyxy
from agent.data import Array, Event, Reading, Scene
from agent.device.health import Health
from agent.device.manifest import Standing
from agent.publish import payloads
from agent.publish.clock import Clock, rfc3339, uuid7
from agent.publish.payloads import (
    AnomalyMessage,
    Detections,
    EventMessage,
    HealthMessage,
    Model,
    ModelState,
    Result,
    SecondMessage,
    Track,
)

_DECIMALS = 4
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who speaks: what is the same in every message of one run."""

    device: str
    labels: Sequence[str]
    model: Model
    clock: Clock = field(default_factory=Clock)
    boot_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    new_id: Callable[[float], str] = uuid7  # Unix s -> id of an event
    second: Mapping[str, str] = field(default_factory=dict)  # second looks that are on -> what they are

    def label(self, class_id: int) -> str:
        """The name of a class; its number for one that the model's card does not name."""
        return self.labels[class_id] if 0 <= class_id < len(self.labels) else str(class_id)


def encode(payload: Struct) -> bytes:
    """JSON, keys in the struct's order."""
    return _encoder.encode(payload)


def detections(scene: Scene, sender: Sender, fps: float = 0.0, zones: Sequence[str] = ()) -> Detections:
    """One frame's tracks; `zones` names the rows of scene.inside."""
    clock, frame = sender.clock, scene.frame
    wall = clock.wall(frame.t)
    return Detections(
        device=sender.device,
        camera=scene.camera,
        time=rfc3339(wall),
        clock_trusted=clock.trusted(),
        seq=frame.seq,
        age_ms=max(0.0, round((clock.monotonic() - frame.t) * 1e3, 1)),
        size=frame.size,
        model=sender.model,
        fps=round(fps, 1),
        times_ms={stage: round(ms, 2) for stage, ms in scene.times.items()},
        tracks=_tracks(scene, sender, zones),
        readings=_readings(scene.readings),
    )


def event(
    happened: Event,
    camera: str | None,
    size: tuple[int, int],
    sender: Sender,
    *,
    label: str | None = None,
    seq: int = 0,
) -> EventMessage:
    """One event of a camera (None: the device) with frames of `size`; `seq` 0 is a draft without a number."""
    clock = sender.clock
    wall = clock.wall(happened.t)
    return EventMessage(
        device=sender.device,
        id=sender.new_id(wall),
        seq=seq,
        boot_id=sender.boot_id,
        kind=happened.kind,
        time=rfc3339(wall),
        clock_trusted=clock.trusted(),
        camera=camera,
        source=happened.source,
        track=happened.track_id,
        label=label,
        detail=detail(happened.detail, size),
    )


def anomaly(happened: Event, camera: str, size: tuple[int, int], sender: Sender) -> AnomalyMessage:
    """One edge of an anomaly's episode at a camera with frames of `size`: a draft without a number."""
    wall = sender.clock.wall(happened.t)
    told = detail(happened.detail, size)
    baseline, label = told.pop("baseline", None), told.pop("label", None)
    return AnomalyMessage(
        device=sender.device,
        id=sender.new_id(wall),
        seq=0,
        boot_id=sender.boot_id,
        kind=told.pop("kind"),
        active=happened.kind == "anomaly_start",
        episode=told.pop("episode"),
        time=rfc3339(wall),
        clock_trusted=sender.clock.trusted(),
        camera=camera,
        source=happened.source,
        reason=told.pop("reason"),
        value=told.pop("value"),
        limit=told.pop("limit"),
        baseline=None if baseline is None else (baseline[0], baseline[1]),
        severity=told.pop("severity"),
        track=happened.track_id,
        label=label,
        detail=told,
    )


def second(name: str, reading: Reading, scene: Scene, sender: Sender, track: int | None = None) -> SecondMessage:
    """What [second.NAME] says of a track of the scene, or (None) of its place."""
    clock, tracks = sender.clock, scene.tracks
    kinds = [] if track is None else tracks.class_id[tracks.track_id == track].tolist()
    return SecondMessage(
        device=sender.device,
        camera=scene.camera,
        name=name,
        time=rfc3339(clock.wall(reading.t)),
        clock_trusted=clock.trusted(),
        track=track,
        label=sender.label(kinds[0]) if kinds else None,
        value=_plain(reading.value),
        confidence=round(reading.confidence, _DECIMALS),
        looks=reading.looks,
        detail=_plain(reading.detail),
    )


def health(board: Health, cameras: Mapping[str, str], stats: Any, sender: Sender) -> HealthMessage:
    """The board's, the cameras' and the publisher's (`agent.publish.Stats`) state."""
    clock = sender.clock
    return HealthMessage(
        device=sender.device,
        time=rfc3339(clock.wall(clock.monotonic())),
        clock_trusted=clock.trusted(),
        cameras=dict(cameras),
        runs_on=getattr(board, "runs_on", ""),
        outbox=stats.outbox_trouble or "ok",
        config=stats.config_trouble or "ok",
        clock="synchronised" if board.clock_synchronised else "not synchronised",
        second=dict(sender.second) or UNSET,
        throttling=board.throttling,
        thermal_level=board.thermal_level,
        fps=round(board.fps, 1),
        dropped_frames=board.dropped,
        stage_ms={stage: round(ms, 2) for stage, ms in board.stage_ms.items()},
        soc_c=_short(board.soc_c),
        cpu=_short(board.cpu),
        memory=_short(board.memory),
        rss_mb=_short(board.rss_mb),
        uptime_s=_short(board.uptime_s),
        events_waiting=stats.waiting,
        events_given_up=stats.given_up,
        messages_dropped=stats.dropped,
    )


def model_state(standing: Standing, sender: Sender) -> ModelState:
    """The model that runs, and the newest there is."""
    clock = sender.clock
    return ModelState(
        device=sender.device,
        time=rfc3339(clock.wall(clock.monotonic())),
        clock_trusted=clock.trusted(),
        model=sender.model,
        installed_version=str(standing.installed),
        latest_version=str(standing.latest),
        trouble=standing.trouble,
    )


def result(verb: str, refusal: str, sender: Sender) -> Result:
    """What became of a command; `refusal` "" if it was done."""
    clock = sender.clock
    return Result(
        device=sender.device,
        time=rfc3339(clock.wall(clock.monotonic())),
        clock_trusted=clock.trusted(),
        verb=verb,
        ok=not refusal,
        reason=refusal,
    )


def detail(measured: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """An event's numbers for the wire: floats rounded; `xyxy`, `first_xyxy` (px) as boxes and `path`, in 0..1."""
    told: dict[str, Any] = {}
    for name, value in measured.items():
        if name.endswith("xyxy"):
            told[name.removesuffix("xyxy") + "box"] = boxes(np.asarray([value], np.float64), size)[0]
        elif name == "path" and not isinstance(value, str):
            told["path"] = boxes(np.asarray(value, np.float64).reshape(-1, 2), size)
        else:
            told[name] = _plain(value)
    return told


def boxes(points: Array, size: tuple[int, int]) -> list[list[float]]:
    """(N, 4) xyxy or (N, 2) xy in px -> the same in 0..1 with 4 decimals, cut at the border."""
    scale = np.array([size[0], size[1]] * (points.shape[1] // 2), np.float64)
    inside: Array = clip_xyxy(points, size) if points.shape[1] == 4 else np.clip(points, 0, scale)
    scaled: list[list[float]] = np.round(inside.astype(np.float64) / scale, _DECIMALS).tolist()
    return scaled


def _tracks(scene: Scene, sender: Sender, zones: Sequence[str]) -> tuple[Track, ...]:
    tracks, size = scene.tracks, scene.frame.size
    if len(tracks) == 0:
        return ()
    rows = zip(
        tracks.track_id.tolist(),
        tracks.class_id.tolist(),
        np.round(tracks.confidence.astype(np.float64), _DECIMALS).tolist(),
        boxes(tracks.xyxy, size),
        np.round(tracks.age.astype(np.float64), 2).tolist(),
        np.round(tracks.velocity.astype(np.float64) / size, _DECIMALS).tolist(),
        _zones_of(scene, zones),
        [_readings(scene.recognised.get(track, {})) for track in tracks.track_id.tolist()],
        strict=True,
    )
    return tuple(
        Track(id_, sender.label(class_id), confidence, _box(box), age, (velocity[0], velocity[1]), inside, known)
        for id_, class_id, confidence, box, age, velocity, inside, known in rows
    )


def _readings(known: Mapping[str, Reading]) -> dict[str, payloads.Reading] | UnsetType:
    """Nothing at all where there are no second looks."""
    if not known:
        return UNSET
    return {name: payloads.Reading(_plain(one.value), round(one.confidence, _DECIMALS)) for name, one in known.items()}


def _zones_of(scene: Scene, zones: Sequence[str]) -> list[tuple[str, ...]]:
    """For each track the names of the zones it stands in."""
    inside = scene.inside if scene.inside.shape == (len(zones), len(scene.tracks)) else None
    if inside is None:
        return [()] * len(scene.tracks)
    return [tuple(name for name, is_in in zip(zones, column, strict=True) if is_in) for column in inside.T.tolist()]


def _box(values: list[float]) -> tuple[float, float, float, float]:
    return values[0], values[1], values[2], values[3]


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _plain(value: Any) -> Any:
    """numpy scalars and arrays as Python's, floats with 4 decimals."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return value
