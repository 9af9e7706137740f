"""What is unusual here: learned from what this camera sees, without labels, and told with the usual beside it.

    who      each track's speed, direction, size, label, stay, ... against what is usual at its place
    how many in each zone, or the whole picture, against what is usual at this hour of the week

Both give a surprise in powers of ten, and each has a limit from how many tracks, or spells, a day has: so many a day
as `false_alarms_per_day` says are expected beyond it. Nothing is told in the first `learn_days`; what was learned
fades with a half-life of `forget_days`, both counted in days of watching. What is beyond the limit is learned a tenth
as fast, so that what is strange stays so for long, but not for ever. normality/ has the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from agent.anomalies import Anomaly, Place
from agent.anomalies.normality import memory, words
from agent.anomalies.normality.many import Many
from agent.anomalies.normality.who import Judged, Who
from agent.anomalies.parts.episodes import Episodes, Finding, score
from agent.anomalies.parts.whom import Whom, ended
from agent.data import Array, Event, Scene

_DAY_S = 86400.0
_GAP_S = 60.0  # no frame for longer: the time in between was not watched
_REFRESH_S = (60.0, 3600.0)  # what was learned counts from then on: soon in the beginning, later more rarely
_SAVE_S = 900.0
_CLEAR_S = 10.0


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.CAMERA.anomalies.unusual]."""

    labels: tuple[str, ...] = ()  # only these; empty = all
    zones: tuple[str, ...] = ()  # only there; empty = the whole picture
    false_alarms_per_day: Annotated[float, Meta(gt=0, le=1000)] = 0.5  # about so many, of what is not so unusual
    learn_days: Annotated[float, Meta(ge=0, le=365)] = 1.0  # of watching, before anything is told
    forget_days: Annotated[float, Meta(ge=1, le=3650)] = 28.0  # half-life of what was learned


def create(options: Options, place: Place) -> Anomaly:
    """Remembers some hundred kB, however long it runs."""
    return _Unusual(options, place)


class _Unusual(Anomaly):
    def __init__(self, options: Options, place: Place) -> None:
        self._options, self._place = options, place
        self._whom = Whom(place, options.labels, options.zones)
        self._zones = options.zones or tuple(place.zones)
        self._who = Who(options.false_alarms_per_day / 2)
        self._many = Many(len(self._zones) + 1, options.false_alarms_per_day / 2)
        self._episodes = Episodes(place, clear_s=_CLEAR_S)
        self._t = self._refreshed = self._saved = -np.inf  # s
        self._hours = (-np.inf, 0, 0)  # s: since when these are the hour of the week and the bin of the day
        self._watched = 0.0  # s
        self._path: Path | None = place.folder / f"{place.name}.npz" if place.folder else None
        if self._path:
            self._watched = memory.recall(self._path, self._who, self._many)
            self._refresh(0.0)

    def update(self, scene: Scene) -> list[Event]:
        t = scene.frame.t
        passed = t - self._t if 0 <= t - self._t <= _GAP_S else 0.0
        self._watched += passed
        self._t = t
        week, day = self._hour(t)
        rows = self._whom.rows(scene)
        judged = self._who.look(scene.tracks, rows, scene.frame.size, t, day)
        count = [int(np.count_nonzero(scene.inside[list(self._place.zones).index(z), rows])) for z in self._zones]
        strange = self._many.look(np.array([*count, len(rows)]), t, self._watched, week)
        gone = ended(scene)
        self._who.end(gone)
        most = float(judged.strange.max(initial=0.0)), float(strange.max(initial=0.0))
        self.score = max(score(most[0], self._who.limit), score(most[1], self._many.limit))
        if not 0 <= t - self._refreshed < min(max(self._watched / 50, _REFRESH_S[0]), _REFRESH_S[1]):
            self._refresh(t - self._refreshed if 0 <= t - self._refreshed < _DAY_S else 0.0)
            self._refreshed = t
        if not 0 <= t - self._saved < _SAVE_S:
            self._save(t)
        if self._watched < self._options.learn_days * _DAY_S:
            return []
        now = {**self._of_tracks(scene, judged), **self._of_numbers(strange, t, week)}
        return self._episodes.update(scene, now, [("track", n) for n in gone])

    def close(self) -> None:
        """Live tracks are counted as if they ended now, and what was learned is saved."""
        self._who.end(self._who.walks.ids())
        self._save(self._t, at_once=True)

    def _of_tracks(self, scene: Scene, judged: Judged) -> Mapping[tuple[str, object], Finding]:
        found: dict[tuple[str, object], Finding] = {}
        limit = self._who.limit
        for k in np.flatnonzero(judged.strange > limit).tolist():
            row, known = int(judged.row[k]), self._who.known(scene.frame.size)
            reason, value, usual = words.why(known, int(judged.trait[k]), judged.seen, k, self._place.labels)
            track, label = int(scene.tracks.track_id[row]), self._place.label(int(scene.tracks.class_id[row]))
            about = {
                "label": label,
                "xyxy": scene.tracks.xyxy[row].tolist(),
                "measured": value,
                "trait": judged.name(k),
            }
            strange = float(judged.strange[k])
            found["track", track] = Finding(f"{label}: {reason}", strange, limit, usual, track_id=track, about=about)
        return found

    def _of_numbers(self, strange: Array, t: float, week: int) -> Mapping[tuple[str, object], Finding]:
        found: dict[tuple[str, object], Finding] = {}
        limit = self._many.limit
        for zone in np.flatnonzero(strange > limit).tolist():
            name = self._zones[zone] if zone < len(self._zones) else ""
            low, high = self._many.counts.usual(zone, week)
            number, clock = int(self._many.steady[zone]), self._place.local(t).strftime("%H:%M")
            where = f"in {name!r}" if name else "in sight"
            reason = f"{number} at {clock} {where}; usual for this hour: {low:.1f}-{high:.1f}"
            about = {"zone": name, "measured": number, "trait": "count"}
            found["zone", name] = Finding(reason, float(strange[zone]), limit, (low, high), about=about)
        return found

    def _hour(self, t: float) -> tuple[int, int]:
        """Hour of the week 0..167 and bin of the day 0..47; asked once a second: time zones are slow."""
        since, week, day = self._hours
        if not 0 <= t - since < 1:
            now = self._place.local(t)
            week, day = now.weekday() * 24 + now.hour, now.hour + 24 * (now.weekday() >= 5)
            self._hours = t, week, day
        return week, day

    def _refresh(self, passed: float) -> None:
        factor = 0.5 ** (passed / (self._options.forget_days * _DAY_S))
        self._many.counts.fade(factor)
        if self._who.traits:
            self._who.traits.fade(factor)
        self._who.refresh(self._watched / _DAY_S)
        self._many.refresh(self._watched / _DAY_S)

    def _save(self, t: float, *, at_once: bool = False) -> None:
        """Not in the first minutes, so that a crash loop wears no card out."""
        if self._path and (at_once or np.isfinite(self._saved)):
            memory.keep(self._path, self._who, self._many, self._watched)
        self._saved = t
