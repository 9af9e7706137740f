"""What is unusual here: learned from what this camera sees, without labels, and told with the usual beside it.

    who      each track's speed, direction, size, label, stay, ... against what is usual at its place
    how many in each zone, or the whole picture, against what is usual at this hour of the week
    stir     how fast something moves, against what is usual at its place: whatever no detector has a name for

Each gives a surprise in powers of ten: how few spells of ten minutes have something so strange. The limit is one for
all three and comes from how many spells a day has: so many a day as `false_alarms_per_day` says are expected beyond it.
Nothing is told in the first `learn_days`; what was learned fades with a half-life of `forget_days`, both counted in
days of watching. What is beyond the limit is learned a tenth as fast, so that what is strange stays so for long, but
not for ever.
normality/ has the parts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from agent.anomalies import Anomaly, Place
from agent.anomalies.normality import memory, words
from agent.anomalies.normality.loose import Loose
from agent.anomalies.normality.many import Many
from agent.anomalies.normality.spells import share
from agent.anomalies.normality.stir import Stir
from agent.anomalies.normality.who import Who
from agent.anomalies.parts.episodes import Episodes, Finding, score
from agent.anomalies.parts.whom import Whom, ended
from agent.data import Event, Scene, Tracks

_DAY_S = 86400.0
_GAP_S = 60.0  # no frame for longer: the time in between was not watched
_REFRESH_S = (60.0, 3600.0)  # what was learned counts from then on: soon in the beginning, later more rarely
_EACH_S = 0.39  # tracks and numbers are judged five times in two seconds at most
_SAVE_S = 900.0
_CLEAR_S = 10.0
_LIVES = 3.0  # half-lives after which what was not seen again is forgotten


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
        each = options.false_alarms_per_day / 3
        self._who, self._many = Who(each), Many(len(self._zones) + 1, each)
        self._stir = Stir(each, [place.zones[name].polygon for name in options.zones])
        self._episodes = Episodes(place, clear_s=_CLEAR_S)
        self._loose = Loose()
        self._t = self._judged = self._refreshed = self._saved = -np.inf  # s
        self._scores = [0.0, 0.0, 0.0]  # of tracks, of numbers, of movement, when they were last judged
        self._hours = (-np.inf, 0, 0)  # s: since when these are the hour of the week and the bin of the day
        self._watched = 0.0  # s
        self._path: Path | None = place.folder / f"{place.name}.npz" if place.folder else None
        if self._path:
            self._watched = memory.recall(self._path, self._who, self._many, self._stir)
            self._refresh(0.0)

    def update(self, scene: Scene) -> list[Event]:
        t = scene.frame.t
        passed = t - self._t if 0 <= t - self._t <= _GAP_S else 0.0
        self._watched += passed
        self._t = t
        gone = ended(scene)
        now = self._stirred(scene)
        if not 0 <= t - self._judged < _EACH_S:
            self._judged = t
            now |= self._of_tracks(scene, gone, passed) | self._of_numbers(scene)
        self._who.end(gone)
        self.score = max(self._scores)
        if not 0 <= t - self._refreshed < min(max(self._watched / 50, _REFRESH_S[0]), _REFRESH_S[1]):
            self._refresh(t - self._refreshed if 0 <= t - self._refreshed < _DAY_S else 0.0)
            self._refreshed = t
        if not 0 <= t - self._saved < _SAVE_S:
            self._save(t)
        if self._watched < self._options.learn_days * _DAY_S:
            return []
        return self._episodes.update(scene, now, [("track", n) for n in gone])

    def close(self) -> None:
        """Live tracks are counted as if they ended now, and what was learned is saved."""
        self._who.end(self._who.walks.ids())
        self._save(self._t, at_once=True)

    def _of_tracks(self, scene: Scene, gone: list[int], passed: float) -> dict[tuple[str, object], Finding]:
        """What is strange about tracks, and about what jumps, `passed` s after the frame before; `gone` gets the ids of
        what jumps no more."""
        size, t = scene.frame.size, scene.frame.t
        loose, over = self._loose.follow(scene.detections, scene.tracks, size, t, passed)
        gone += over
        loose = loose[self._whom.labelled(loose.class_id)] if not self._options.zones else Tracks.empty()
        tracks = scene.tracks[self._whom.rows(scene)]
        tracks = Tracks.concatenate([tracks, loose]) if len(loose) else tracks
        judged = self._who.look(tracks, size, t, self._hour(t)[1])
        found: dict[tuple[str, object], Finding] = {}
        limit = self._who.spells.limit
        self._scores[0] = score(float(judged.strange.max(initial=0.0)), limit)
        for k in np.flatnonzero(judged.strange > limit).tolist():
            row, known = int(judged.row[k]), self._who.known(size)
            reason, value, usual = words.why(known, int(judged.trait[k]), judged.seen, k, self._place.labels)
            track, label = int(tracks.track_id[row]), self._place.label(int(tracks.class_id[row]))
            about = {"label": label, "xyxy": tracks.xyxy[row].tolist(), "measured": value, "trait": judged.name(k)}
            strange, told = float(judged.strange[k]), track if track > 0 else None
            found["track", track] = Finding(f"{label}: {reason}", strange, limit, usual, track_id=told, about=about)
        return found

    def _of_numbers(self, scene: Scene) -> dict[tuple[str, object], Finding]:
        """What is strange about how many there are."""
        t, (week, _), limit = scene.frame.t, self._hour(scene.frame.t), self._many.spells.limit
        rows = self._whom.rows(scene)
        count = [int(np.count_nonzero(scene.inside[list(self._place.zones).index(z), rows])) for z in self._zones]
        strange = self._many.look(np.array([*count, len(rows)]), t, self._watched, week)
        self._scores[1] = score(float(strange.max(initial=0.0)), limit)
        found: dict[tuple[str, object], Finding] = {}
        for zone in np.flatnonzero(strange > limit).tolist():
            name = self._zones[zone] if zone < len(self._zones) else ""
            low, high = self._many.counts.usual(zone, week)
            number, clock = int(self._many.steady[zone]), self._place.local(t).strftime("%H:%M")
            where = f"in {name!r}" if name else "in sight"
            reason = f"{number} at {clock} {where}; usual for this hour: {low:.1f}-{high:.1f}"
            about = {"zone": name, "measured": number, "trait": "count"}
            found["zone", name] = Finding(reason, float(strange[zone]), limit, (low, high), about=about)
        return found

    def _stirred(self, scene: Scene) -> dict[tuple[str, object], Finding]:
        """What is strange about the movement, which has no label."""
        if self._options.labels:
            return {}
        strange, limit = self._stir.look(scene.frame, self._place.glance), self._stir.spells.limit
        self._scores[2] = score(strange, limit)
        if strange <= limit:
            return {}
        spot = self._stir.spot()
        about = {
            "xyxy": (np.array(spot.xyxy) * np.tile(scene.frame.size, 2)).tolist(),
            "measured": spot.speed,
            "trait": "movement",
        }
        reason = f"something moves at {words.speed(spot.speed, spot.usual)}"
        return {("movement", ""): Finding(reason, strange, limit, spot.usual, about=about)}

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
        self._who.like.forget(self._watched / _DAY_S - _LIVES * self._options.forget_days)
        self._stir.habit.counts *= np.float32(factor)
        share([self._who.spells, self._many.spells, self._stir.spells], self._options.false_alarms_per_day)
        self._who.refresh(self._watched / _DAY_S)
        self._many.spells.refresh(self._watched / _DAY_S)
        self._stir.refresh(self._watched / _DAY_S)

    def _save(self, t: float, *, at_once: bool = False) -> None:
        """Not in the first minutes, so that a crash loop wears no card out."""
        if self._path and (at_once or np.isfinite(self._saved)):
            memory.keep(self._path, self._who, self._many, self._stir, self._watched)
        self._saved = t
