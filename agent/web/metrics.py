"""Numbers as Prometheus reads them: text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from agent.web.now import Now

TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labelled = dict[str, float | None]


def text(now: Now) -> str:
    """Everything that is known; what the board does not tell is left out."""
    return "".join(line + "\n" for line in _lines(now))


def _lines(now: Now) -> Iterator[str]:
    health, stats, clock = now.health, now.stats, time.monotonic()
    cameras, scenes = list(now.cameras.items()), list(now.scenes.items())
    yield from _family("camera_online", "whether the camera is there", {n: s.online for n, s in cameras}, "camera")
    yield from _family("fps", "frames looked at a second", dict(list(now.rates.items())), "camera")
    ages: Labelled = {name: clock - scene.frame.t for name, scene in scenes}
    yield from _family("frame_age_seconds", "since the newest frame that was looked at", ages, "camera")
    yield from _family("tracks", "objects that are followed", {n: len(s.tracks) for n, s in scenes}, "camera")
    yield from _one("mqtt_online", "whether the broker is there", stats.state == "online")
    yield from _one("mqtt_published_total", "messages sent", stats.published, "counter")
    yield from _one("mqtt_dropped_total", "messages nobody was there for", stats.dropped, "counter")
    yield from _one("outbox_waiting", "events that the broker does not have yet", stats.waiting)
    if health is None:
        return
    stages: Labelled = {name: ms / 1e3 for name, ms in health.stage_ms.items()}
    yield from _family("stage_seconds", "a stage of a mean frame", stages, "stage")
    yield from _one("dropped_frames_total", "frames nobody looked at", health.dropped_frames, "counter")
    yield from _one("soc_celsius", "temperature of the processor", health.soc_c)
    yield from _one("cpu_ratio", "of all cores, busy", health.cpu)
    yield from _one("memory_ratio", "of the board's memory, in use", health.memory)
    yield from _one("resident_bytes", "of this process", None if health.rss_mb is None else health.rss_mb * 2**20)
    yield from _one("thermal_level", "0 is full speed", health.thermal_level)


def _one(name: str, told: str, value: float | None, kind: str = "gauge") -> list[str]:
    return _family(name, told, {"": value}, "", kind)


def _family(name: str, told: str, values: Mapping[str, float | None], label: str, kind: str = "gauge") -> list[str]:
    """One metric's lines; camera and stage names hold no character that would have to be escaped."""
    known = {of: value for of, value in values.items() if value is not None}
    if not known:
        return []
    lines = [f"# HELP lookout_{name} {told}", f"# TYPE lookout_{name} {kind}"]
    for of, value in known.items():
        labels = f'{{{label}="{of}"}}' if label else ""
        lines.append(f"lookout_{name}{labels} {float(value):.10g}")
    return lines
