"""Scenes, tracks and events to publish, small and exact."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from agent import config
from agent.data import Detections, Event, Frame, Scene, Tracks

STATES = 3  # retained topics of a publisher with one camera: its own status, the camera's, its open anomalies
LABELS = ("person", "car", "dog")


class Model:
    """What a publisher wants to know of a model."""

    name, sha256 = "ssd", "ab" * 32

    class card:
        labels = LABELS


def settings(port: int, *cameras: str, state_dir: Path | None = None, **mqtt: object) -> config.Config:
    """Device "pi", cameras that are only names, a broker on this machine; state_dir None: events wait in memory."""
    table: dict[str, object] = {"host": "127.0.0.1", "port": port, "retry_s": (0.1, 0.2)}
    table["outbox"] = {"durability": "disk" if state_dir else "memory"}
    table.update(mqtt)
    return config.Config(
        cameras=dict.fromkeys(cameras or ("yard",)),
        device="pi",
        state_dir=state_dir or Path("/nonexistent"),
        mqtt=msgspec.convert(table, config.Mqtt, dec_hook=_path),
    )


def _path(kind: type, value: object) -> object:
    return Path(str(value)) if kind is Path else value


def tracks(n: int = 1, class_id: int = 0) -> Tracks:
    """n tracks in a 640x480 picture: track k is 64 px wide, 96 px high and moves (64, -48) px/s."""
    at = np.arange(n, dtype=np.float32)
    return Tracks(
        track_id=np.arange(1, n + 1, dtype=np.int64),
        xyxy=np.stack([at + 64, at + 48, at + 128, at + 144], axis=1),
        velocity=np.tile(np.array([[64, -48]], np.float32), (n, 1)),
        confidence=np.full(n, 0.87654, np.float32),
        class_id=np.full(n, class_id, np.int32),
        age=np.full(n, 1.5, np.float32),
        missed=np.zeros(n, np.float32),
        row=np.full(n, -1, np.int32),
    )


def scene(
    n: int = 1, *, t: float = 10.0, seq: int = 0, camera: str = "yard", events: tuple[Event, ...] = (),
    anomalies: tuple[Event, ...] = (),
) -> Scene:  # fmt: skip
    """A 640x480 frame with n tracks."""
    frame = Frame(np.zeros((480, 640, 3), np.uint8), seq, t)
    times = {"detect": 12.3456, "track": 0.5}
    return Scene(camera, frame, Detections.empty(), tracks(n), events, times, anomalies=anomalies)


def anomaly(kind: str = "anomaly_start", *, t: float = 10.0, episode: int = 1, **more: object) -> Event:
    detail = {"kind": "loitering", "episode": episode, "reason": "person stays", "value": 61.23456, "limit": 60.0}
    detail |= {"baseline": None, "severity": 0.02, "label": "person", "xyxy": [64.0, 48.0, 128.0, 144.0], **more}
    return Event(kind, t, 0, "porch", 1, detail)


def event(kind: str = "track_start", *, t: float = 10.0, track: int | None = 1, **detail: object) -> Event:
    return Event(kind, t, 0, "yard", track, detail)
