"""Crowding: more in one place than there should be, and not for a moment only.

    how many   ▁▁▂▂▃▅█▇█████▆▅▃▂▁
    most       ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
    told             │hold_s│▲      over when it was not more than `most` for clear_s

Each zone is counted by itself; without zones, the whole picture.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from agent.anomalies import EVERY_S, Anomaly, Place
from agent.anomalies.parts.episodes import Episodes, Finding, score
from agent.anomalies.parts.whom import Whom
from agent.data import Event, Scene


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.CAMERA.anomalies.crowding]."""

    labels: tuple[str, ...] = ("person",)  # empty = all
    zones: tuple[str, ...] = ()  # empty = the whole picture
    most: Annotated[int, Meta(ge=0, le=1000)] = 10  # more than so many are a crowd
    hold_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0  # when they are so many for this long
    clear_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0  # and it is over after this long without


def create(options: Options, place: Place) -> Anomaly:
    """Remembers one number a zone."""
    return _Crowding(options, place)


class _Crowding(Anomaly):
    every_s = EVERY_S

    def __init__(self, options: Options, place: Place) -> None:
        self._most, self._whom = options.most, Whom(place, options.labels, options.zones)
        self._word = options.labels[0] if len(options.labels) == 1 else "object"
        self._episodes = Episodes(place, clear_s=options.clear_s, hold_s=options.hold_s)

    def update(self, scene: Scene) -> list[Event]:
        rows, over, most = self._whom.rows(scene), {}, 0
        for zone, inside in self._whom.places(scene):
            count = int(np.count_nonzero(inside[rows]))
            most = max(most, count)
            if count > self._most:
                reason = f"{count} {self._word}s in {zone!r}; more than {self._most} are a crowd"
                over[zone] = Finding(reason, count, self._most, about={"zone": zone})
        self.score = score(most, self._most + 1)
        return self._episodes.update(scene, over)
