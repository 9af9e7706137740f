"""Lines: who crossed which, which way, and once for each crossing.

A crossing is found between two consecutive observed positions of a track, however far apart, so none slips
between two frames. It counts when the track has got clear of the line (`clearance`), or has ended: what swayed to
and fro on the line meanwhile has cancelled out by then.

Nothing is ever exactly on a line: all positions are taken to be shifted by (e, e²) for an endlessly small e > 0. On
whole cells of the grid that is exact. A path that stops on the line, follows it or passes through one of its
corners crosses as often as its shifted twin does: never twice for once, and never not at all.
(Edelsbrunner & Mücke, Simulation of Simplicity, ACM TOG 9, 1990; here one shift serves all positions.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from agent.areas import Line, on_grid
from agent.data import Array
from agent.track.memory import Finding


class Lines:
    """The lines of one camera, all their segments in one table; what a track must carry for them is `fields`."""

    def __init__(self, lines: Mapping[str, Line]) -> None:
        self.names = tuple(lines)
        paths = [on_grid(line.points) for line in lines.values()]
        lengths = [len(path) - 1 for path in paths]
        self._a = np.concatenate([np.zeros((0, 2), np.int64), *(path[:-1] for path in paths)])  # (S, 2) cells
        self._b = np.concatenate([np.zeros((0, 2), np.int64), *(path[1:] for path in paths)])  # (S, 2) cells
        self._line = np.repeat(np.arange(len(paths)), lengths)  # (S,) whose segment it is
        self._first = np.cumsum([0, *lengths[:-1]], dtype=np.intp)  # (L,) first segment of each line
        self._clearance = np.array([line.clearance for line in lines.values()])  # (L,) object sizes
        dx, dy = (self._b - self._a).T
        on_it = (dy < 0) | ((dy == 0) & (dx > 0))  # (S,) the shifted twin of a position on the segment is to its right
        self._normal = np.stack([-dy, dx])  # (2, S); normal · p > limit: p is to the right
        self._limit = self._normal[0] * self._a[:, 0] + self._normal[1] * self._a[:, 1] - on_it  # (S,)

    @property
    def fields(self) -> list[tuple[Any, ...]]:
        """numpy fields of one track's record."""
        n = len(self.names)
        return [
            ("right", np.bool_, (len(self._line),)),  # it was last observed to the right of each segment
            ("net", np.int32, (n,)),  # crossings in minus out that have not counted yet
            ("cleared", np.bool_, (n,)),  # it has been clear of the line at least once
            ("path", np.float64, (n, 3, 2)),  # cells: before, on and beyond the line, of the crossing net stands for
            ("segment", np.int32, (n,)),  # which segment of the line that was, from 1
            ("crossed", np.float64, (n,)),  # s: when the track was first observed beyond
        ]

    def observe(
        self, records: Array, before: Array, points: Array, allowed: Array, t: float, *, sizes: Array, scale: Array
    ) -> Iterator[Finding]:
        """Tracks came from `before` to `points` (L, N, 2) cells; `allowed` (L, N): the line is for their label.

        `sizes` (N,) px, the roots of their areas; `scale` (2,) px a cell. Updates the records (N,) and tells what
        counts now.
        """
        p = points[self._line]
        right = (self._normal[0, :, None] * p[..., 0] + self._normal[1, :, None] * p[..., 1]) > self._limit[:, None]
        for segment, row in np.argwhere((right != records["right"].T) & records["seen"]).tolist():
            line = self._line[segment]
            self._step(records[row], segment, (before[line, row].tolist(), points[line, row].tolist()), t)
        records["right"] = right.T
        pending = records["net"] != 0
        if not pending.any() and records["cleared"].all():
            return  # how far away they are matters to nobody
        away = np.minimum.reduceat(self._distances(points, scale), self._first) / np.maximum(sizes, 1.0)  # (L, N)
        clear = away > self._clearance[:, None]
        for line, row in np.argwhere(clear & allowed & pending.T).tolist():
            decided = {"reason": "cleared", "distance": float(away[line, row])}
            yield from self._findings(records, row, line, {**decided, **self._told(records[row], line, t, scale)})
        records["net"][clear.T] = 0
        records["cleared"] |= clear.T

    def end(self, records: Array, allowed: Array, t: float, *, scale: Array) -> Iterator[Finding]:
        """Tracks that ended: a crossing that had not got clear yet counts, unless its track never was clear."""
        for line, row in np.argwhere(allowed & (records["cleared"] & (records["net"] != 0)).T).tolist():
            yield from self._findings(
                records, row, line, {"reason": "ended", **self._told(records[row], line, t, scale)}
            )

    def _step(self, record: Array, segment: int, way: tuple[list[int], list[int]], t: float) -> None:
        """A track changed sides of a segment on its way (p, q) cells: a crossing if it passed between its ends."""
        (p, q), line = way, int(self._line[segment])
        a, b = self._a[segment].tolist(), self._b[segment].tolist()
        if _passes_right_of(p, q, a) == _passes_right_of(p, q, b):
            return
        direction = -1 if record["right"][segment] else 1
        record["net"][line] += direction
        if np.sign(record["net"][line]) != direction:  # to and fro: nothing is left that this one could stand for
            return
        u, v = abs(_turn(a, b, p)), abs(_turn(a, b, q))
        record["path"][line] = p, [k + (m - k) * u / (u + v) for k, m in zip(p, q, strict=True)], q
        record["segment"][line], record["crossed"][line] = segment - self._first[line] + 1, t

    def _findings(self, records: Array, row: int, line: int, detail: dict[str, Any]) -> list[Finding]:
        """As many as `net` says: more than one only where a line is wound round a place."""
        times = abs(int(records[row]["net"][line]))
        return [Finding(row, "line_cross", self.names[line], detail["direction"], detail)] * times

    def _told(self, record: Array, line: int, t: float, scale: Array) -> dict[str, Any]:
        return {
            "direction": "in" if record["net"][line] > 0 else "out",
            "clearance": float(self._clearance[line]),
            "ago_s": t - float(record["crossed"][line]),
            "path": (record["path"][line] * scale).tolist(),
            "segment": int(record["segment"][line]),
        }

    def _distances(self, points: Array, scale: Array) -> Array:
        """(L, N, 2) cells -> (S, N) px from each segment."""
        a, along = (self._a * scale)[:, None], ((self._b - self._a) * scale)[:, None]
        p = (points * scale)[self._line] - a
        share = np.clip((p * along).sum(2) / (along * along).sum(2), 0, 1)
        gap = p - share[..., None] * along
        return np.asarray(np.hypot(gap[..., 0], gap[..., 1]))


def _turn(a: Sequence[int], b: Sequence[int], p: Sequence[int]) -> int:
    """> 0 where p is to the right of a -> b, < 0 to the left (y is down), 0 on it."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def _passes_right_of(p: Sequence[int], q: Sequence[int], end: Sequence[int]) -> bool:
    """Whether `end` is to the right of the shifted way from p to q; on the unshifted one, the shift decides."""
    turn, dx, dy = _turn(p, q, end), q[0] - p[0], q[1] - p[1]
    return turn > 0 or (turn == 0 and (dy > 0 or (dy == 0 and dx < 0)))
