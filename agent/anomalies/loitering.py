"""Loitering: somebody stays longer than one has a reason to.

                      ┌──────── zone ────────┐
    in sight      ░░░░│██████████████████████│░░░░
    dwell             0 s ───────────────▶ dwell_s: told, once for each track

Time is the track's own: from when it was first seen inside until it was last seen inside. Who steps out of the zones
and comes back within `away_s` has not left. Without zones the whole picture counts, and who stays in sight stays.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from agent.anomalies import EVERY_S, Anomaly, Place
from agent.anomalies.parts.episodes import Episodes, Finding, score, told_s
from agent.anomalies.parts.whom import Whom, ended
from agent.data import Event, Scene


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.CAMERA.anomalies.loitering]."""

    labels: tuple[str, ...] = ("person",)  # empty = all
    zones: tuple[str, ...] = ()  # empty = the whole picture
    dwell_s: Annotated[float, Meta(gt=0, le=86400)] = 60.0  # staying longer is loitering
    away_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0  # back within this time = was never away


def create(options: Options, place: Place) -> Anomaly:
    """Remembers two times for each track that is or was just inside."""
    return _Loitering(options, place)


class _Loitering(Anomaly):
    every_s = EVERY_S

    def __init__(self, options: Options, place: Place) -> None:
        self._options, self._place = options, place
        self._whom = Whom(place, options.labels, options.zones)
        self._episodes = Episodes(place, clear_s=options.away_s)
        self._stays: dict[int, tuple[float, float]] = {}  # track -> s: inside since, last seen inside

    def update(self, scene: Scene) -> list[Event]:
        t, tracks, limit = scene.frame.t, scene.tracks, self._options.dwell_s
        gone = ended(scene)
        for track in gone:
            self._stays.pop(track, None)
        longest, over = 0.0, {}
        for row in self._whom.rows(scene).tolist():
            track = int(tracks.track_id[row])
            since, last = self._stays.get(track, (t, t))
            if not 0 <= t - last <= self._options.away_s:
                since = t
            self._stays[track] = since, t
            dwell = t - since
            longest = max(longest, dwell)
            if dwell >= limit:
                label = self._place.label(int(tracks.class_id[row]))
                where = self._whom.where(scene, row) or " in sight"
                reason = f"{label} stays{where} for {told_s(dwell)}; the limit is {told_s(limit)}"
                about = {"label": label, "unit": "s", "xyxy": tracks.xyxy[row].tolist()}
                over[track] = Finding(reason, dwell, limit, track_id=track, about=about)
        self.score = score(longest, limit)
        return self._episodes.update(scene, over, gone)
