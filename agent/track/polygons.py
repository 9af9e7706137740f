"""Polygons: which track stands in which zone, who entered, who left and after how long.

Enter and exit wait for seconds, not frames: a track has entered when every observation in `enter_s` saw it inside,
and has left when every one in `exit_s` saw it outside, or when it has ended.

A zone holds its left and top edges, not its right and bottom ones, as pixels do: zones that share an edge never
share a track. What the picture's border cuts stands in the zone that reaches to the border.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from agent.areas import Zone, on_grid
from agent.data import Array
from agent.track.memory import Finding

_EPSILON_S = 1e-6  # five frames of 0.1 s are 0.5 s


class Polygons:
    """The zones of one camera, all their edges in one table; what a track must carry for them is `fields`."""

    def __init__(self, zones: Mapping[str, Zone]) -> None:
        self.names = tuple(zones)
        self._enter_s = np.array([zone.enter_s for zone in zones.values()])
        self._exit_s = np.array([zone.exit_s for zone in zones.values()])
        corners = [on_grid(zone.polygon) for zone in zones.values()]
        lengths = [len(polygon) for polygon in corners]
        a = np.concatenate([np.zeros((0, 2), np.int64), *corners])  # (E, 2) cells: where each edge begins
        b = np.concatenate([np.zeros((0, 2), np.int64), *(np.roll(polygon, -1, 0) for polygon in corners)])
        self._zone = np.repeat(np.arange(len(corners)), lengths)  # (E,) whose edge it is
        self._first = np.cumsum([0, *lengths[:-1]], dtype=np.intp)  # (Z,) first edge of each zone
        self._y = a[:, 1:], b[:, 1:]  # (E, 1) each
        (dx, dy), rises = (b - a).T, np.where(b[:, 1] > a[:, 1], 1, -1)
        self._normal = (
            np.stack([-dy, dx]) * rises
        )  # (2, E); normal · p > limit: p is to the left of the edge on the picture
        self._limit = self._normal[0] * a[:, 0] + self._normal[1] * a[:, 1]  # (E,)

    @property
    def fields(self) -> list[tuple[Any, ...]]:
        """numpy fields of one track's record."""
        n = len(self.names)
        return [
            ("inside", np.bool_, (n,)),
            ("begun", np.float64, (n,)),  # s: first observed inside, of the stay that lasts
            ("turned", np.bool_, (n,)),  # last observed on the other side of what `inside` says
            ("since", np.float64, (n,)),  # s: and ever since then; only where `turned`
        ]

    def contain(self, points: Array) -> Array:
        """(Z, N, 2) cells, for each zone its own -> (Z, N) bool.

        Even-odd rule: a ray to the right of the point crosses the edges of its polygon an odd number of times.
        """
        p = points[self._zone]
        x, y = p[..., 0], p[..., 1]
        spans = (self._y[0] > y) != (self._y[1] > y)
        crosses = spans & ((self._normal[0, :, None] * x + self._normal[1, :, None] * y) > self._limit[:, None])
        return np.asarray(np.logical_xor.reduceat(crosses, self._first, axis=0))

    def observe(self, records: Array, points: Array, allowed: Array, t: float) -> Iterator[Finding]:
        """Tracks observed at `points` (Z, N, 2) cells; `allowed` (Z, N): the zone is for their label.

        Updates the records (N,) and tells who entered and who left.
        """
        was = records["inside"].copy()
        turned = was != (self.contain(points) & allowed).T  # (N, Z)
        if not (turned.any() or records["turned"].any()):
            return
        since = np.where(records["turned"], records["since"], t)
        flips = turned & (t - since >= np.where(was, self._exit_s, self._enter_s) - _EPSILON_S)
        begun = np.where(flips & ~was, since, records["begun"])
        records["inside"], records["begun"] = was ^ flips, begun
        records["turned"], records["since"] = turned & ~flips, since
        for zone, row in np.argwhere(flips.T).tolist():
            waited = t - float(since[row, zone])
            if was[row, zone]:
                detail = {"reason": "left", "outside_s": waited, "exit_s": float(self._exit_s[zone])}
                detail["dwell_s"] = float(since[row, zone] - begun[row, zone])
                yield Finding(row, "zone_exit", self.names[zone], "out", detail)
            else:
                detail = {"inside_s": waited, "enter_s": float(self._enter_s[zone])}
                yield Finding(row, "zone_enter", self.names[zone], "in", detail)

    def end(self, records: Array) -> Iterator[Finding]:
        """Tracks that ended: those inside have left, at the moment they were last seen inside."""
        for zone, row in np.argwhere(records["inside"].T).tolist():
            record = records[row]
            left = bool(record["turned"][zone])
            last = record["since"][zone] if left else record["t"]
            detail = {"reason": "left" if left else "lost", "dwell_s": float(last - record["begun"][zone])}
            yield Finding(row, "zone_exit", self.names[zone], "out", detail)
