"""Novelty: a place does not look as it does in the pictures in which all is well: a part, a shelf, a gate left open.

    python -m convert novelty --normal DIR --region 0.4,0.2,0.7,0.8 --out gate.tflite

    [cameras.yard.anomalies.gate]
    kind = "novelty"
    file = "gate.tflite"            # where in the picture, and what is too strange, stands in the file

    value    ░░▁▁▂▁▁▂█████████▅▅▂▁▁     how far beyond the usual distance to the normal pictures, in usual spreads
    limit    ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─      of the file; what was told is over when the value is below RESUME of it
    told              ▲          ▲      after hold_s beyond; after clear_s without

A second model looks, every `every_s` at most, aside of the loop (Place.second): what it says is of a frame a little
earlier. A place that somebody walks through is strange for as long: `hold_s` should be longer than that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from agent.anomalies import Anomaly, Place
from agent.anomalies.parts.episodes import Episodes, Finding, score
from agent.data import Array, Event, Scene, Strange

_RESUME = 0.9  # of the limit
_HOT = 0.5  # heat at the limit


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.CAMERA.anomalies.novelty]."""

    file: Path  # that `python -m convert novelty` wrote
    every_s: Annotated[float, Meta(ge=0.1, le=3600)] = 1.0  # between two looks, at least
    hold_s: Annotated[float, Meta(ge=0, le=3600)] = 3.0  # strange for this long
    clear_s: Annotated[float, Meta(ge=0, le=3600)] = 3.0  # and over after this long without
    limit: Annotated[float, Meta(gt=0)] | None = None  # None: the file's own


def create(options: Options, place: Place) -> Anomaly:
    """Remembers the last look. Raises LookoutError where the file cannot be used."""
    return _Novelty(options, place)


class _Novelty(Anomaly):
    def __init__(self, options: Options, place: Place) -> None:
        self._options, self._place = options, place
        self._watcher = place.second(options.file)
        self._episodes = Episodes(place, clear_s=options.clear_s, hold_s=options.hold_s)
        self._asked = float("-inf")  # s

    def update(self, scene: Scene) -> list[Event]:
        t, events = scene.frame.t, []
        self.strange = None
        if not 0 <= t - self._asked < self._options.every_s - 0.01 and self._watcher.ask(scene.frame):
            self._asked = t
        if found := self._watcher.answer():
            self.strange = found
            events = self._judge(scene, found)
        return events

    def _judge(self, scene: Scene, found: Strange) -> list[Event]:
        limit = self._options.limit or found.limit
        self.score = score(found.value, limit)
        goes_on = self._place.name in self._episodes and found.value > _RESUME * limit
        if found.value <= limit and not goes_on:
            return self._episodes.update(scene, {})
        box = hottest(found)
        x, y = ((box[k] + box[k + 2] - 2 * found.xyxy[k]) / 2 / (found.xyxy[k + 2] - found.xyxy[k]) for k in (0, 1))
        reason = (
            f"{self._place.name!r} does not look as usual: {found.value:.1f} spreads beyond its normal pictures,"
            f" most {x:.0%} from the left and {y:.0%} from the top; the limit is {limit:.1f}"
        )
        finding = Finding(reason, found.value, limit, found.usual, about={"xyxy": box, "unit": "spreads"})
        return self._episodes.update(scene, {self._place.name: finding})


def hottest(found: Strange) -> list[float]:
    """xyxy px of the box around what is hot beside the hottest cell, that cell included."""
    heat: Array = found.heat
    rows, columns = heat.shape
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    hot = heat >= min(_HOT, float(heat.max()))
    top, bottom = _run(hot[:, column], int(row))
    left, right = _run(hot[row], int(column))
    x1, y1, x2, y2 = found.xyxy
    wide, high = (x2 - x1) / columns, (y2 - y1) / rows
    return [x1 + left * wide, y1 + top * high, x1 + right * wide, y1 + bottom * high]


def _run(hot: Array, at: int) -> tuple[int, int]:
    """Begin and end of the run of True that `at` lies in."""
    cold = np.flatnonzero(~hot)
    before, after = cold[cold < at], cold[cold > at]
    return int(before[-1]) + 1 if len(before) else 0, int(after[0]) if len(after) else len(hot)
