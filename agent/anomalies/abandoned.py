"""Abandoned: something was left, its owner is gone. Or: something was taken.

    person     ───▇▇▇▇▇▇▇▇▇▇╲                        walks up, puts it down, walks away
    thing      ░░░░░░░░░░░▒▒▒▒▒███████████████████   differs from before and stands still (parts/still)
    alone      ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄│ alone_s │▲          nobody within `near` of his height: told, once

What it is does not matter: no model must know it. But it must have become visible within `owner_s` of somebody being
there, and be smaller than he is: that is what tells a bag from a patch of sun, and from a parked car. It is over when
it is gone, or after a quarter of an hour, when it belongs to the scene.

Limits: needs a fixed camera; a thing smaller than a tenth of a person, or one that looks like the ground, is not seen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from agent.anomalies import Anomaly, Place
from agent.anomalies.parts.episodes import Episodes, Finding, score, told_s
from agent.anomalies.parts.still import Blob, Still
from agent.anomalies.parts.whom import Whom
from agent.data import Array, Event, Scene

_EVERY_S = 0.5  # two looks a second are enough for what stands still
_LEAST_CELLS = 9
_CAME = 0.7  # of the strength of its outline: below it was taken, not left
_SAME = 0.5  # share of a blob's cells that a known thing shares with it
_THERE = 0.4  # share of its cells that must differ for it to be there
_RECENT = 64  # looks at where people were
_MOST = 16  # things that are watched at a time
_ROUND = 0.15  # of his height a person's box is taken larger on each side: bags hang out of it


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.CAMERA.anomalies.abandoned]."""

    labels: tuple[str, ...] = ("person",)  # who may leave something
    zones: tuple[str, ...] = ()  # only what lies there; empty = the whole picture
    still_s: Annotated[float, Meta(ge=1, le=3600)] = 3.0  # it has not moved for so long,
    alone_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0  # and nobody was near for so long
    near: Annotated[float, Meta(ge=0, le=10)] = 0.75  # of a person's height: nearer than this is near
    owner_s: Annotated[float, Meta(ge=0, le=60)] = 5.0  # somebody was there at most so long before it was seen
    largest: Annotated[float, Meta(gt=0, le=5)] = 0.7  # of a person's height; what is larger is no luggage
    taken: bool = True  # tell of what was taken, too


def create(options: Options, place: Place) -> Anomaly:
    """Remembers three small pictures and at most 16 things."""
    return _Abandoned(options, place)


@dataclass(slots=True)
class _Thing:
    blob: Blob
    number: int
    was_left: bool  # else taken
    company: float  # s: when somebody was near for the last time
    gone: bool = False
    told: bool = False  # from then on company changes nothing: it is over when the thing is gone


class _Abandoned(Anomaly):
    def __init__(self, options: Options, place: Place) -> None:
        self._options, self._place = options, place
        self._people = Whom(place, options.labels, ())
        self._zones = [place.zones[name].polygon for name in options.zones]
        self._episodes = Episodes(place, clear_s=3.0)
        self._still: Still | None = None
        self._visited = np.zeros((0, 0))  # (rows, columns) s: somebody was here for the last time
        self._height = np.zeros((0, 0), np.float32)  # (rows, columns) cells: and so tall
        self._after = np.zeros((0, 0))  # (rows, columns) s: how long after that it began to stand still
        self._things: list[_Thing] = []
        self._recent: deque[tuple[float, Array]] = deque(maxlen=_RECENT)  # (s, boxes) of people
        self._number = 0
        self._looked = -np.inf  # s

    def update(self, scene: Scene) -> list[Event]:
        t = scene.frame.t
        if 0 <= t - self._looked < _EVERY_S - 0.01:
            return []
        self._looked = t
        if self._still is None or self._still.size != scene.frame.size:
            self._begin(scene.frame.size)
        assert self._still
        people = self._boxes(scene)
        self._still.look(self._place.glance.small(scene.frame), t, self._cover(people, t))
        begun = self._still.since == t
        self._after[begun] = t - self._visited[begun]
        self._recent.append((t, people))
        self._follow(people, t)
        over, alone = {}, [0.0]
        for thing in self._things:
            thing.told |= t - thing.company >= self._options.alone_s
            if thing.told:
                over[thing.number] = self._finding(thing, scene)
            alone.append(t - thing.company)
        self.score = score(max(alone), self._options.alone_s)
        return self._episodes.update(scene, over)

    def _begin(self, size: tuple[int, int]) -> None:
        self._still = Still(size)
        self._visited = np.full((self._still.rows, self._still.columns), -np.inf)
        self._height = np.zeros(self._visited.shape, np.float32)
        self._after = np.full(self._visited.shape, np.inf)
        self._things = []

    def _boxes(self, scene: Scene) -> Array:
        """(N, 4) float32 px: everybody who is in the picture, those too who were not found in this frame."""
        return scene.tracks.xyxy[self._people.labelled(scene.tracks.class_id)]

    def _cover(self, people: Array, t: float) -> Array:
        """Where people are, and that they were there: (rows, columns) bool."""
        assert self._still
        covered = np.zeros(self._visited.shape, np.bool_)
        height = (people[:, 3] - people[:, 1])[:, None]
        wide = people + _ROUND * height * np.array([[-1, -1, 1, 1]], np.float32)
        for box, tall in zip(self._still.cells(wide), height.ravel().tolist(), strict=True):
            self._visited[box], self._height[box] = t, tall * self._still.rows / self._still.size[1]
        for box in self._still.cells(people):
            covered[box] = True
        return covered

    def _follow(self, people: Array, t: float) -> None:
        """Known things go on, new ones begin, those that are gone end."""
        assert self._still
        for thing in self._things:
            thing.gone = self._still.there(thing.blob.cells) < _THERE
            if thing.gone:
                self._still.forget(thing.blob)  # its rim, which fades, is no new thing
        self._things = [thing for thing in self._things if not thing.gone]
        for blob in self._still.blobs(t, self._options.still_s, _LEAST_CELLS):
            known = next((one for one in self._things if np.isin(blob.cells, one.blob.cells).mean() > _SAME), None)
            if known:
                if len(blob.cells) > len(known.blob.cells):  # what was still hidden when it was first seen
                    known.blob = blob
                continue
            if len(self._things) < _MOST and self._has_owner(blob):
                was_left = self._still.came(blob) >= _CAME
                if was_left or self._options.taken:
                    self._number += 1
                    company = [then for then, boxes in self._recent if self._has_company(blob, boxes)]
                    self._things.append(_Thing(blob, self._number, was_left, max([blob.since, *company])))
        for thing in self._things:
            if self._has_company(thing.blob, people):
                thing.company = t

    def _has_owner(self, blob: Blob) -> bool:
        """Whether somebody was there who may have left it, and it is a thing that one leaves."""
        if len(blob.cells) < _LEAST_CELLS or not self._in_zones(blob):
            return False
        there = self._after.ravel()[blob.cells] <= self._options.owner_s
        if there.mean() < 0.5:
            return False
        tall = float(np.median(self._height.ravel()[blob.cells][there]))
        return bool(max(blob.size) <= self._options.largest * tall)

    def _in_zones(self, blob: Blob) -> bool:
        x, y = (blob.xyxy[0] + blob.xyxy[2]) / 2, blob.xyxy[3]
        return not self._zones or any(inside(x, y, polygon) for polygon in self._zones)

    def _has_company(self, blob: Blob, people: Array) -> bool:
        """Whether anybody's box is nearer to it than `near` of his height."""
        if not len(people):
            return False
        assert self._still
        thing = np.array(blob.xyxy, np.float32) * np.array([*self._still.size, *self._still.size], np.float32)
        gap = np.maximum(0, np.maximum(people[:, :2] - thing[2:], thing[:2] - people[:, 2:]))
        return bool((np.hypot(*gap.T) < self._options.near * (people[:, 3] - people[:, 1])).any())

    def _finding(self, thing: _Thing, scene: Scene) -> Finding:
        alone, limit = scene.frame.t - thing.company, self._options.alone_s
        what = "left" if thing.was_left else "taken"
        width, height = scene.frame.size
        x1, y1, x2, y2 = thing.blob.xyxy
        reason = f"something was {what}, and nobody is near for {told_s(alone)}; the limit is {told_s(limit)}"
        about = {"what": what, "unit": "s", "xyxy": [x1 * width, y1 * height, x2 * width, y2 * height]}
        return Finding(reason, alone, limit, about=about)


def inside(x: float, y: float, polygon: tuple[tuple[float, float], ...]) -> bool:
    """Even-odd rule."""
    odd = False
    for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            odd = not odd
    return odd
