"""Zones and lines of one camera over its tracks: who stands where, and what happened, counted.

A guessed position enters no zone and crosses no line. A track that was not looked for (row -1, missed 0) stands where
it was last observed; of one that was looked for in vain (missed > 0) nothing is known, and nothing about it changes.
When it is observed again, the way between its two observed positions counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from agent.areas import GRID, Line, Zone, standpoints
from agent.data import Array, Event, Tracks
from agent.track.counters import Counters
from agent.track.lines import Lines
from agent.track.memory import Finding, Memory
from agent.track.polygons import Polygons


class Zones:
    """The zones and lines of one camera; remembers one record for each track that has not ended."""

    def __init__(self, camera: str, zones: Mapping[str, Zone], lines: Mapping[str, Line], counters: Counters) -> None:
        self._camera, self._counters = camera, counters
        self._polygons, self._lines = Polygons(zones), Lines(lines)
        areas: list[Zone | Line] = [*zones.values(), *lines.values()]
        self._anchors = [area.anchor for area in areas]
        self._wanted = [area.labels for area in areas]
        self._labels: Sequence[str] = ()
        self._allowed = _allowed(self._wanted, ())
        fields = [
            ("seen", np.bool_),  # it was observed at least once;
            ("t", np.float64),  # s: when last,
            ("class_id", np.int32),  # as what,
            ("stood", np.int64, (len(areas), 2)),  # cells: and where, by the anchor of each zone and line
        ]
        self._memory = Memory([*fields, *self._polygons.fields, *self._lines.fields])
        for name in zones:
            counters.declare(camera, name, is_zone=True)
        for name in lines:
            counters.declare(camera, name)

    def __len__(self) -> int:
        """Tracks that are remembered."""
        return len(self._memory)

    def update(
        self, tracks: Tracks, labels: Sequence[str], frame_size: tuple[int, int], *, t: float, seq: int,
        ended: Sequence[int] = (),
    ) -> tuple[Array, list[Event]]:  # fmt: skip
        """The tracks of a frame, and the ids that ended in it -> inside (Z, N) bool, and what happened.

        `labels` names the class ids; `frame_size` is (width, height) px; zones in the order of the config. Events:
        zone_enter, zone_exit (reason "left", or "lost" where the track ended inside) and line_cross; their source is
        the zone or line, their `count` the number of this label after it, `count_all` that of all labels.
        """
        if not self._anchors or len(tracks) + len(ended) == 0:
            return np.zeros((len(self._polygons.names), len(tracks)), np.bool_), []
        if labels is not self._labels:
            self._labels, self._allowed = labels, _allowed(self._wanted, labels)
        scale = np.array(frame_size, np.float64) / GRID  # px a cell
        rows, known = self._memory.rows(tracks.track_id), tracks.missed <= 0
        present, records = tracks if known.all() else tracks[known], self._memory.read(rows[known])
        relabelled = (records["class_id"] != present.class_id).any()
        found = self._observe(present, records, t, scale)
        self._memory.write(rows[known], records)
        events = self._events(found, present.track_id.tolist(), records, t, seq)
        if len(ended):
            ids, records = self._memory.forget(ended)
            events += self._events(self._end(records, t, scale), ids, records, t, seq)
        if events or relabelled:
            self._tell_occupancy()
        return self._memory.read(rows)["inside"].T, events

    def _observe(self, tracks: Tracks, records: Array, t: float, scale: Array) -> list[Finding]:
        """What happened to tracks of which it is known where they are; updates their records."""
        found: list[Finding] = []
        if not len(tracks):
            return found
        observed, before = (tracks.row >= 0) | ~records["seen"], records["stood"].swapaxes(0, 1)
        points = np.where(observed[:, None], standpoints(tracks.xyxy, self._anchors, scale), before)
        records["t"], records["class_id"] = np.where(observed, t, records["t"]), tracks.class_id
        z = len(self._polygons.names)
        allowed = self._allowed[:, self._columns(tracks.class_id)]
        if self._polygons.names:
            found += self._polygons.observe(records, points[:z], allowed[:z], t)
        if self._lines.names:
            sizes = np.sqrt((tracks.xyxy[:, 2] - tracks.xyxy[:, 0]) * (tracks.xyxy[:, 3] - tracks.xyxy[:, 1]))
            found += self._lines.observe(records, before[z:], points[z:], allowed[z:], t, sizes=sizes, scale=scale)
        records["seen"], records["stood"] = True, points.swapaxes(0, 1)
        return found

    def _end(self, records: Array, t: float, scale: Array) -> list[Finding]:
        """What it means for zones and lines that these tracks are no more."""
        allowed = self._allowed[len(self._polygons.names) :, self._columns(records["class_id"])]
        return [*self._polygons.end(records), *self._lines.end(records, allowed, t, scale=scale)]

    def _events(self, found: Sequence[Finding], ids: Sequence[int], records: Array, t: float, seq: int) -> list[Event]:
        """Each finding, counted."""
        events = []
        for row, kind, source, way, detail in found:
            label = self._label(int(records["class_id"][row]))
            count, of_all = self._counters.add(self._camera, source, label, way)
            told = {"label": label, **detail, "count": count, "count_all": of_all}
            events.append(Event(kind, t, seq, source, ids[row], told))
        return events

    def _tell_occupancy(self) -> None:
        live = self._memory.live()
        for zone, name in enumerate(self._polygons.names):
            inside = live["class_id"][live["inside"][:, zone]].tolist()
            self._counters.occupy(self._camera, name, Counter(map(self._label, inside)))

    def _columns(self, class_id: Array) -> Array:
        """Columns of `_allowed`; the last is for classes without a name."""
        return np.where((class_id >= 0) & (class_id < len(self._labels)), class_id, len(self._labels))

    def _label(self, class_id: int) -> str:
        return self._labels[class_id] if 0 <= class_id < len(self._labels) else str(class_id)


def _allowed(wanted: Sequence[Sequence[str]], labels: Sequence[str]) -> Array:
    """(A, C + 1) bool: area a is for class c; an empty list wants all, the last column is any other class."""
    return np.array([[not some or label in some for label in (*labels, None)] for some in wanted], np.bool_)
