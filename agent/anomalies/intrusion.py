"""Intrusion: somebody is where nobody should be at this hour.

    zone 'yard'    ░░░░██████░░░░░░░░░░██████░░░░
    when           ┄┄┄┄┄┄┄┄┄┄┄┄┄├── 22:00-06:00 ──┤
    told                               ▲             once for each zone, over when it was empty for clear_s

`when` is in the hours of the clock on the wall (parts/schedule); without it, always.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from agent.anomalies import EVERY_S, Anomaly, Place
from agent.anomalies.parts.episodes import Episodes, Finding, score
from agent.anomalies.parts.schedule import Schedule, Span
from agent.anomalies.parts.whom import Whom
from agent.data import Event, Scene


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.CAMERA.anomalies.intrusion]."""

    labels: tuple[str, ...] = ("person",)  # empty = all
    zones: tuple[str, ...] = ()  # empty = the whole picture
    when: tuple[Span, ...] = ()  # nobody should be there then; empty = never
    hold_s: Annotated[float, Meta(ge=0, le=3600)] = 1.0  # there for this long
    clear_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0


def create(options: Options, place: Place) -> Anomaly:
    """Remembers nothing but what is going on."""
    return _Intrusion(options, place)


class _Intrusion(Anomaly):
    every_s = EVERY_S

    def __init__(self, options: Options, place: Place) -> None:
        self._place, self._whom = place, Whom(place, options.labels, options.zones)
        self._schedule = Schedule(options.when)
        self._episodes = Episodes(place, clear_s=options.clear_s, hold_s=options.hold_s)
        self._known: dict[str, Finding] = {}  # zone -> as it was worded, and as many as there were

    def update(self, scene: Scene) -> list[Event]:
        rows, over = self._whom.rows(scene), {}
        now = self._place.local(scene.frame.t) if len(rows) else None
        if now is not None and now in self._schedule:
            for zone, inside in self._whom.places(scene):
                there = rows[inside[rows]]
                if not len(there):
                    continue
                if zone in self._episodes and len(there) <= self._known[zone].value:
                    over[zone] = self._known[zone]
                    continue
                who = Counter(map(self._place.label, scene.tracks.class_id[there].tolist()))
                names = ", ".join(f"{count} {label}" for label, count in sorted(who.items()))
                reason = f"{names} in {zone!r} at {now:%a %H:%M}; nobody should be there {self._schedule.words}"
                xyxy = scene.tracks.xyxy[there[np.argmax(scene.tracks.confidence[there])]].tolist()
                over[zone] = self._known[zone] = Finding(
                    reason, len(there), 0.0, about={"zone": zone, "label": min(who), "xyxy": xyxy}
                )
        self.score = score(float(len(over)), 0.0)
        return self._episodes.update(scene, over)
