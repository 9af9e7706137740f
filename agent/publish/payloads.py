"""Every JSON payload as a typed struct; docs/mqtt/*.schema.json are made from these.

Every payload says its `schema`; a change that an old reader would misread raises the number in it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Unit = Annotated[float, Meta(ge=0, le=1)]
Box = Annotated[tuple[Unit, Unit, Unit, Unit], Meta(description="x_min, y_min, x_max, y_max in 0..1 of the frame")]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", description="UTC, RFC 3339")]
ClockTrusted = Annotated[bool, Meta(description="false until the machine's clock is synchronised: `time` may be wrong")]

EventId = Annotated[str, Meta(description="UUIDv7, made once: the same in every delivery")]
EventSeq = Annotated[int, Meta(ge=1, description="per device, rising by 1 over all events and anomalies")]
BootId = Annotated[str, Meta(description="one run of the agent")]


class Model(Struct, frozen=True):
    """The model that saw it."""

    name: str
    sha256: str  # of the flatbuffer


class Reading(Struct, frozen=True):
    """What second looks say of a track or a place."""

    value: Annotated[str | float | None, Meta(description="a name, a count, a share; null: nothing that is known")]
    confidence: Unit


class Track(Struct, frozen=True):
    """One object that is followed."""

    id: int  # from 1, never reused while the agent runs
    label: str
    confidence: Unit
    box: Box
    age: Annotated[float, Meta(ge=0, description="s since first seen")]
    velocity: Annotated[
        tuple[float, float], Meta(description="of the box centre: frame widths per s, frame heights per s; y is down")
    ]
    zones: tuple[str, ...]
    recognised: Annotated[dict[str, Reading] | UnsetType, Meta(description="[second.NAME] -> what it says")] = UNSET


class Detections(Struct, frozen=True, kw_only=True):
    """`<camera>/detections`: what is in one frame."""

    schema: Literal["lookout/detections/1"] = "lookout/detections/1"
    device: str
    camera: str
    time: Time  # when the frame was exposed
    clock_trusted: ClockTrusted
    seq: Annotated[int, Meta(ge=0, description="the camera's own frame counter")]
    age_ms: Annotated[float, Meta(ge=0, description="from exposure to this message")]
    size: Annotated[tuple[int, int], Meta(description="width, height of the frame, px")]
    model: Model
    fps: Annotated[float, Meta(ge=0, description="frames of this camera that are looked at, per s")]
    times_ms: Annotated[dict[str, float], Meta(description="ms per stage of this frame")]
    tracks: tuple[Track, ...]
    readings: Annotated[dict[str, Reading] | UnsetType, Meta(description="[second.NAME] of a place -> its word")] = (
        UNSET
    )


class EventMessage(Struct, frozen=True, kw_only=True):
    """`<camera>/events`: something happened. Delivered at least once: drop those whose `id` you know."""

    schema: Literal["lookout/event/1"] = "lookout/event/1"
    device: str
    id: EventId
    seq: EventSeq
    boot_id: BootId
    kind: str
    time: Time  # of the frame that caused it
    clock_trusted: ClockTrusted
    camera: str | None  # None: the device itself
    source: str
    track: int | None
    label: str | None
    detail: Annotated[dict[str, Any], Meta(description="the numbers that decided: values and limits")]


class AnomalyMessage(Struct, frozen=True, kw_only=True):
    """`<camera>/anomalies`: something is not as it should be (`active`), or is so no more. Delivered as events are."""

    schema: Literal["lookout/anomaly/1"] = "lookout/anomaly/1"
    device: str
    id: EventId
    seq: EventSeq
    boot_id: BootId
    kind: Annotated[str, Meta(description="loitering, tamper, unusual, ...")]
    active: Annotated[bool, Meta(description="true: it begins; false: it is over")]
    episode: Annotated[int, Meta(ge=1, description="the same at its begin and its end; per source, from 1 each boot")]
    time: Time  # of the frame that decided it
    clock_trusted: ClockTrusted
    camera: str
    source: Annotated[str, Meta(description="the anomaly's name in the config")]
    reason: Annotated[str, Meta(description="why, in words")]
    value: Annotated[float, Meta(description="as measured; at the end the worst that was")]
    limit: float
    baseline: Annotated[tuple[float, float] | None, Meta(description="what is usual here, from and to, if learned")]
    severity: Annotated[Unit, Meta(description="0 just at the limit, 1 beyond doubt")]
    track: int | None
    label: str | None
    detail: Annotated[dict[str, Any], Meta(description="what else there is to tell: unit, box, zone, lasted_s, ...")]


class SecondMessage(Struct, frozen=True, kw_only=True):
    """`<camera>/second/<name>`: a second look at a track says another name now, or one at a place was made."""

    schema: Literal["lookout/second/1"] = "lookout/second/1"
    device: str
    camera: str
    name: Annotated[str, Meta(description="[second.NAME]")]
    time: Time  # of the frame that was looked at
    clock_trusted: ClockTrusted
    track: Annotated[int | None, Meta(description="null: a place")]
    label: Annotated[str | None, Meta(description="the track's")]
    value: Annotated[str | float | None, Meta(description="a name, a count, a share; null: nothing that is known")]
    confidence: Unit
    looks: Annotated[int, Meta(ge=1, description="that it rests on")]
    detail: Annotated[dict[str, Any], Meta(description="the limit, areas, an outline")]


class HealthMessage(Struct, frozen=True, kw_only=True):
    """`health`: states in words, then numbers; null is what the board does not tell."""

    schema: Literal["lookout/health/1"] = "lookout/health/1"
    device: str
    time: Time
    clock_trusted: ClockTrusted
    cameras: Annotated[dict[str, str], Meta(description='camera -> "online" or "offline"')]
    runs_on: Annotated[str, Meta(description="what computes")]
    outbox: Annotated[str, Meta(description='"ok", or why events are not safe on the disk just now')]
    config: Annotated[str, Meta(description='"ok", or why the config that was to be taken over last was not')]
    clock: Annotated[str, Meta(description='"synchronised" or "not synchronised"')]
    second: Annotated[dict[str, str] | UnsetType, Meta(description='second looks: name -> "match at person"')] = UNSET
    throttling: tuple[str, ...] | None
    thermal_level: int
    fps: float
    dropped_frames: int
    stage_ms: dict[str, float]
    soc_c: float | None
    cpu: float | None
    memory: float | None
    rss_mb: float | None
    uptime_s: float | None
    events_waiting: int
    events_given_up: int
    messages_dropped: int


class ModelState(Struct, frozen=True, kw_only=True):
    """`model/state`: the model that looks, and the newest that its maker offers."""

    schema: Literal["lookout/model/1"] = "lookout/model/1"
    device: str
    time: Time
    clock_trusted: ClockTrusted
    model: Model
    installed_version: Annotated[str, Meta(description='of its manifest; "0": it came without one')]
    latest_version: Annotated[str, Meta(description="as installed where there is none above it")]
    trouble: Annotated[str, Meta(description="why the last look for a newer one found nothing out; else empty")]


class Result(Struct, frozen=True, kw_only=True):
    """`command/<verb>/result`: what became of a command."""

    schema: Literal["lookout/result/1"] = "lookout/result/1"
    device: str
    time: Time
    clock_trusted: ClockTrusted
    verb: str
    ok: bool
    reason: Annotated[str, Meta(description="why not; empty if it was done")]


PAYLOADS: dict[str, type[Struct]] = {  # name of the schema's file -> payload
    "detections": Detections,
    "event": EventMessage,
    "anomaly": AnomalyMessage,
    "second": SecondMessage,
    "health": HealthMessage,
    "model": ModelState,
    "result": Result,
}
