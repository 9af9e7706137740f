"""The steps of one frame: predict, pair, follow, miss, begin, confirm; tracks and events come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agent import boxes, config
from agent.data import Array, Detections, Event, Tracks
from agent.track import association, kalman, table
from agent.track.kinds import Kinds
from agent.track.table import CONFIRMED, FREE, TENTATIVE, Found

_HIGH = 0.6  # where neither the config nor a model says what a good score is
_LEAST = 0.1  # buffered IoU below which a pair is never made
_LEAST_WEAK = 0.3  # the same for detections between `low` and `high`
_SAME_PLACE = 0.7  # plain IoU from which a detection may change the class of a track
_OTHER_CLASS = 0.5  # taken off the gain of such a pair: the same class goes first
_DOUBLE = 0.45  # plain IoU with a paired or surer detection above which another is its echo and founds no track
_REACH = 2.0  # s; no expectation goes further: what stands unseen for a minute has not wandered off
_DOUBTED = 0.5  # share of the doubt that ends a track from which on weak detections do not make it told
_SEEN = 0.5  # share of a box that one area must cover to count as looked at


class Tracker:
    """One camera's tracks. Two trackers share nothing; ids count from 1 and are never used again."""

    def __init__(self, options: config.Tracker, labels: Sequence[str] = ()) -> None:
        """`labels` in order of class id; without them no class is like another."""
        self.tune(options)
        self._kinds = Kinds(options.alike, labels)
        self._table = np.zeros(options.max_tracks, table.ROW)
        self._ahead = np.zeros((options.max_tracks, 8))  # px, px/s: the filter's mean as expected in this frame
        self._given = 0  # ids so far
        self._clock = 0.0  # s that passed in frames; never goes back
        self._t: float | None = None
        self._extent: Array | None = None  # (4,) xyxy px around all that was ever looked at

    def tune(self, options: config.Tracker) -> None:
        """Other limits from the next frame on; the tracks stay. `max_tracks` and `alike` hold for life."""
        self._options = options
        self._high = _HIGH if options.high is None else options.high
        self._enough = self._high if options.confirm is None else options.confirm

    def end(self, reason: str, t: float, seq: int) -> list[Event]:
        """Every track ends: nobody looks any more."""
        return self._end(self._live(), reason, t, seq)

    def update(
        self, detections: Detections, t: float, seq: int, seen: Array | None = None
    ) -> tuple[Tracks, list[Event]]:
        """One frame: confirmed tracks by rising id, and who came and went.

        `t` is Frame.t; a step back counts as no time. `seen` (K, 4) float32 px: what was looked at, None = everything.
        A track expected elsewhere is not missed by this frame: row -1, and `missed` stays as it is.
        """
        dt = self._tick(t)
        found = Found.of(detections)
        live = self._live()
        gone = self._clock - self._table["seen"][live] > self._options.unseen_s
        events = self._end(live[gone], "unseen", t, seq)
        live = live[~gone]
        known = self._table[live]
        expected = self._expected(known)
        self._ahead[live] = expected[0]
        pairs = self._pair(known, expected, found)
        i, j = pairs[:, 0], pairs[:, 1]
        if len(pairs):
            state, doubt = (expected[0][i], expected[1][i]), self._doubt(found.confidence[j], dt)
            table.follow(self._table, live[i], found[j], self._clock, state, doubt=doubt)
        left = _rest(len(live), i)
        looked = self._looked(boxes.cxcywh_to_xyxy(expected[0][left, :4]), seen)
        table.miss(self._table, live[left], dt, looked)
        lost = self._is_lost(live)
        events += self._end(live[lost], "missed", t, seq)
        live = np.concatenate([live[~lost], self._begin(found, j)])
        events += self._confirm(live, t, seq)
        return self._told(live), events

    def _tick(self, t: float) -> float:
        """Seconds since the last frame: 0 for the first, for a repeated t and for one that goes back."""
        dt = 0.0 if self._t is None or not t > self._t else t - self._t
        self._t = t
        self._clock += dt
        return dt

    def _live(self) -> Array:
        return np.flatnonzero(self._table["state"] != FREE)

    def _expected(self, known: Array) -> tuple[Array, Array]:
        """The filter's states of rows of the table, now."""
        return kalman.predict(known["mean"], known["spread"], np.minimum(self._clock - known["seen"], _REACH))

    def _is_lost(self, rows: Array) -> Array:
        tentative = self._table["state"][rows] == TENTATIVE
        limit = np.where(tentative, self._options.tentative_s, self._options.missed_s)
        passed = np.where(tentative, self._table["missed"][rows], self._table["doubt"][rows])
        return np.asarray(passed > limit + 1e-9)

    def _pair(self, known: Array, expected: tuple[Array, Array], found: Found) -> Array:
        """(K, 2): index into `known`, index into `found`. Believed tracks choose first, weak detections come last."""
        mean, spread = expected
        if len(mean) == 0 or len(found) == 0:
            return np.zeros((0, 2), np.intp)
        xyxy = boxes.cxcywh_to_xyxy(mean[:, :4])
        likeness = association.buffered_iou(xyxy, np.sqrt(spread[:, 0, :2]), found.xyxy)
        gain = likeness + association.bonus(known, spread, found.cxcywh[:, :2])
        class_id = table.class_of(known, slice(None))
        same = class_id[:, None] == found.class_id[None]
        if not same.all():
            alike = self._kinds.alike(class_id, found.class_id)
            if (alike > same).any():
                alike &= same | (boxes.iou(xyxy, found.xyxy) >= _SAME_PLACE)
            gain = np.where(same, gain, gain - _OTHER_CLASS)
            likeness = np.where(alike, likeness, 0)
        believed = known["state"] == CONFIRMED
        strong = found.confidence >= self._high
        weak = ~strong & (found.confidence >= self._options.low)
        turns = ((believed, strong, _LEAST), (~believed, strong, _LEAST), (known["state"] != FREE, weak, _LEAST_WEAK))
        return association.in_turns(likeness, gain, turns)

    def _doubt(self, confidence: Array, dt: float) -> Array:
        """Seconds of doubt that detections add to their tracks after `dt`: (K,) -> (K,), -inf for strong ones.

        As much as a look in vain where they are next to nothing, none half way up to the strong ones, less from there.
        Without it the weakest, of which few are true but which stay in one place, would keep a dead track for minutes.
        """
        low, high = self._options.low, self._high
        share = (confidence - low) / max(high - low, 1e-9)
        return np.where(confidence >= high, -np.inf, dt * (1 - 2 * share))

    def _looked(self, xyxy: Array, seen: Array | None) -> Array:
        """Whether expected boxes (N, 4) were looked at: (N,) bool. Beyond all that was ever looked at counts too."""
        if seen is None:
            return np.ones(len(xyxy), np.bool_)
        areas = np.asarray(seen, np.float64).reshape(-1, 4)
        known = areas if self._extent is None else np.vstack([areas, self._extent])
        if len(known):
            self._extent = np.concatenate([known[:, :2].min(axis=0), known[:, 2:].max(axis=0)])
        if len(xyxy) == 0:
            return np.zeros(0, np.bool_)
        covered = boxes.intersection(xyxy, areas) / np.maximum(boxes.area(xyxy), 1e-9)[:, None]
        centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
        left_picture = np.zeros(len(xyxy), np.bool_)
        if self._extent is not None:
            left_picture |= ((centre < self._extent[:2]) | (centre > self._extent[2:])).any(axis=1)
        return np.asarray((covered >= _SEEN).any(axis=1) | left_picture)

    def _begin(self, found: Found, paired: Array) -> Array:
        """Strong detections that no track took found one each, as long as there is room; the most confident first.

        The rows (K,) they have in the table.
        """
        new = _rest(len(found), paired)
        new = new[found.confidence[new] >= self._high]
        if len(new) == 0:
            return new
        before = np.concatenate([paired, new])
        echo = boxes.iou(found.xyxy[new], found.xyxy[before]) > _DOUBLE
        echo &= self._kinds.alike(found.class_id[new], found.class_id[before])
        echo[:, len(paired) :] &= np.tri(len(new), k=-1, dtype=np.bool_)  # of two new ones the surer stays
        new = new[~echo.any(axis=1)]
        free = np.flatnonzero(self._table["state"] == FREE)[: len(new)]
        table.begin(self._table, free, found[new[: len(free)]], self._clock)
        return free

    def _confirm(self, live: Array, t: float, seq: int) -> list[Event]:
        rows = live[(self._table["state"][live] == TENTATIVE) & (self._table["row"][live] >= 0)]
        if len(rows) == 0:
            return []
        median = table.median_score(self._table, rows)
        good = median >= self._enough
        rows, median = rows[good], median[good]
        if len(rows) == 0:
            return []
        self._table["state"][rows] = CONFIRMED
        self._table["track_id"][rows] = self._given + 1 + np.arange(len(rows))
        self._given += len(rows)
        limits = {"limit": self._enough}
        return [
            self._event("track_start", row, t, seq, {"median_confidence": float(score), **limits})
            for row, score in zip(rows.tolist(), median, strict=True)
        ]

    def _end(self, rows: Array, reason: str, t: float, seq: int) -> list[Event]:
        """Free `rows`; the believed ones among them are told."""
        if len(rows) == 0:
            return []
        limit = {"missed": self._options.missed_s, "unseen": self._options.unseen_s}.get(reason, 0.0)
        events = []
        for row in rows[self._table["state"][rows] == CONFIRMED].tolist():
            one = self._table[row]
            passed = one["doubt"] if reason == "missed" else self._clock - one["seen"]
            detail = {
                "first_xyxy": one["first_xyxy"].tolist(),
                "travelled_px": float(one["travelled"]),
                "confidence": float(one["total_confidence"] / one["hits"]),
                "reason": reason,
                "value_s": float(passed),
                "limit_s": limit,
            }
            events.append(self._event("track_end", row, t, seq, detail))
        self._table["state"][rows] = FREE
        return sorted(events, key=lambda event: event.track_id or 0)

    def _event(self, kind: str, row: int, t: float, seq: int, detail: dict[str, Any]) -> Event:
        one = self._table[row]
        about = {
            "class_id": int(table.class_of(self._table, np.array([row]))[0]),
            "xyxy": boxes.cxcywh_to_xyxy(one["seen_cxcywh"][None])[0].tolist(),
            "age_s": float(self._clock - one["born"]),
        }
        return Event(kind, t, seq, "", int(one["track_id"]), about | detail)

    def _told(self, live: Array) -> Tracks:
        """The confirmed tracks that are seen, or were a moment ago."""
        known = self._table[live]
        sure = known["doubt"] <= _DOUBTED * self._options.missed_s
        told = np.where(known["row"] >= 0, sure, known["missed"] <= self._options.coast_s)
        rows = np.flatnonzero((known["state"] == CONFIRMED) & told)
        rows = rows[np.argsort(known["track_id"][rows])]
        one = known[rows]
        away = one["row"] < 0
        mean = np.where(away[:, None], self._ahead[live[rows]], one["mean"])
        return Tracks(
            track_id=one["track_id"].copy(),
            xyxy=boxes.cxcywh_to_xyxy(mean[:, :4]).astype(np.float32),
            velocity=mean[:, 4:6].astype(np.float32),
            confidence=one["confidence"].astype(np.float32),
            class_id=table.class_of(one, slice(None)).astype(np.int32),
            age=(self._clock - one["born"]).astype(np.float32),
            missed=one["missed"].astype(np.float32),
            row=one["row"].astype(np.int32),
        )


def _rest(n: int, taken: Array) -> Array:
    """The indices below n that are not `taken`, rising."""
    free = np.ones(n, np.bool_)
    free[taken] = False
    return np.flatnonzero(free)
