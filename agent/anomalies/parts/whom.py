"""The tracks that an anomaly is about: of some labels, in some zones; and who has gone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.anomalies import Place
from agent.data import Array, Scene


class Whom:
    """Labels and zones as an anomaly's options name them; none named: all labels, the whole picture."""

    def __init__(self, place: Place, labels: Sequence[str], zones: Sequence[str]) -> None:
        self._place, self.zones = place, tuple(zones)
        self._rows = [list(place.zones).index(name) for name in zones]
        wanted = [not labels or label in labels for label in place.labels]
        self._wanted = np.array([not labels, *wanted, not labels], np.bool_)  # (C + 2,) at the ends: without a name

    def rows(self, scene: Scene) -> Array:
        """Rows (K,) of scene.tracks: the right label, in one of the zones, and not looked for in vain."""
        tracks = scene.tracks
        if len(tracks) == 0:
            return np.zeros(0, np.intp)
        good = self.labelled(tracks.class_id) & (tracks.missed <= 0)
        if self._rows:
            good &= scene.inside[self._rows].any(axis=0)
        return np.flatnonzero(good)

    def labelled(self, class_id: Array) -> Array:
        """(N,) class ids -> (N,) bool: of a label that is meant."""
        return self._wanted.take(class_id + 1, mode="clip")

    def places(self, scene: Scene) -> list[tuple[str, Array]]:
        """Each zone that is meant and who is in it, (N,) bool; without zones the camera and everybody."""
        if not self._rows:
            return [(self._place.camera, np.ones(len(scene.tracks), np.bool_))]
        return [(name, scene.inside[row]) for name, row in zip(self.zones, self._rows, strict=True)]

    def where(self, scene: Scene, row: int) -> str:
        """ " in 'yard'": the first of the zones that the track is in; "" without zones."""
        for name, zone in zip(self.zones, self._rows, strict=True):
            if scene.inside[zone, row]:
                return f" in {name!r}"
        return ""


def ended(scene: Scene) -> list[int]:
    """The tracks that ended in this frame."""
    return [event.track_id for event in scene.events if event.kind == "track_end" and event.track_id is not None]
