"""Where to look next: square crops, as few as will do, each at the scale at which the model sees its objects best.

    needs                                         worth of a crop
    ─ tracks where something moves, every look_s  Σ weight of a need · how well the model sees objects of its size
    ─ tracks that stand still, up to verify_s         in a crop of this side, over the needs that lie wholly in it
    ─ what moves and no track explains            The best crop is taken, what it serves no longer counts, and so on
    ─ what was seen once and is no track yet      while a crop is worth its invoke and the allowance lasts.
    ─ a sweep: every place, every sweep_s

The weight of a need grows with the time since it was last served, so under a tight budget crops take turns. Movement
in which nothing is ever found (leaves, water) is asked about less and less often. All state is bounded by the grid and
by the tracks and boxes of one frame.
"""

from __future__ import annotations

import math

import numpy as np

from agent import boxes
from agent.data import Array, Detections, Tracks
from agent.detect.crops import BEST, Crops, Needs, grown, inside, longer
from agent.detect.sizes import Sizes
from agent.detect.sweep import Sweep

_MARGIN = 0.12  # of an object's longer side, left free around it in a crop
_LOST_S = 10.0  # how long a track that was looked for in vain is looked for again, after 2, 6, 18, ... look_s
_DRIFT = 0.15  # longer sides that a track, where no movement is seen, may be off before it is looked at again
_GROUP = 0.3  # of a cluster's longer side: the smallest objects that it is looked at for
_BRISK = 0.3  # longer sides a second: faster does not stand still, even if its movement was not noticed
_CALM_S = 8.0  # between two crops for what stands still, while nothing moves anywhere
_FOLLOW_S = 0.5  # how long a new box is looked at again and again, for the tracker to make up its mind
_DULL = 4.0  # at most 2^4 times more rarely is movement looked at in which nothing was ever found
_DULL_S = 20.0  # and this is forgotten so fast
_MOST = 3.0  # weight of the most neglected need
_LIMIT = 40  # needs a frame, and boxes remembered


class Planner:
    """One camera's needs, and what it knows of its scene."""

    def __init__(
        self,
        size: tuple[int, int],
        input_side: int,
        *,
        certain: float = 0.4,
        best: float = BEST,
        look_s: float = 0.1,
        verify_s: float = 20.0,
        sweep_s: float = 120.0,
    ) -> None:
        """`size` (width, height) px of the frames, `input_side` px of the model; periods in seconds.

        `certain` is the confidence from which a detection may become a track.
        """
        self.sizes = Sizes(size)
        self._crops = Crops(size, input_side, best)
        self._certain, self._look_s, self._verify_s = certain, look_s, verify_s
        self._sweep = Sweep(self._crops, self.sizes, sweep_s, usual=best * max(input_side, min(size) / 2))
        grid = (self.sizes.rows, self.sizes.columns)
        self._glanced = np.full(grid, -np.inf)  # s: when movement there was last looked at
        self._dull = np.zeros(grid)  # how often in vain, as a power of two
        self._looked: dict[int, float] = {}  # track id -> s: when it was last looked at
        self._lost: dict[int, tuple[float, int]] = {}  # track id -> s: first looked for in vain, and how often since
        self._moving, self._expected = np.zeros((0, 4), np.float32), Tracks.empty()  # of the last plan
        self._new = np.zeros((0, 6))  # boxes that are no track yet: x1, y1, x2, y2, first and last seen (s)
        self._calm_t = self._idle_until = -math.inf  # s: last crop for what stands still; nothing to do before
        self._t = self._learned = -math.inf  # s: last frame, last frame with crops

    def plan(self, t: float, moving: Array, tracks: Tracks, allowance: int) -> Array:
        """Crops (K, 4) int32 px for the frame of time `t`, K <= allowance; perhaps none.

        `moving` (M, 4) px boxes of movement; `tracks` as they are expected to be now (see `predict`).
        """
        self._moving, self._expected = moving, tracks
        crops: list[Array] = []
        if len(moving) or len(tracks) or len(self._new):
            crops += self._sweep.crops(t, min(1, allowance), busy=True)
            crops += self._for_needs(t, moving, tracks, allowance - len(crops))
        elif not self._sweep.beginning:
            self._idle_until = math.inf
        if not crops or self._sweep.beginning:
            crops += self._sweep.crops(t, allowance - len(crops))
        self._t = t
        return np.array(crops, np.int32).reshape(-1, 4)

    def _for_needs(self, t: float, moving: Array, tracks: Tracks, allowance: int) -> list[Array]:
        """Crops for tracks, new boxes and movement."""
        standing, new = self._of_tracks(t, tracks, moving), self._of_new(t, tracks)
        speed = np.hypot(*tracks.velocity.T) / standing.size
        ids = tracks.track_id.tolist()
        overdue = [n in self._lost or t - self._looked.get(n, -math.inf) > self._verify_s for n in ids]
        pressing = np.any((standing.weight > 0) & ((speed > _BRISK) | np.array(overdue, np.bool_)))
        calm = not (len(moving) or new.weight.any() or pressing)
        if calm and t - self._calm_t < _CALM_S:
            self._idle_until = min([self._calm_t + _CALM_S, *(self._looked.get(n, t) + self._verify_s for n in ids)])
            return []
        if calm and allowance:
            allowance, self._calm_t = min(1, allowance), t
        needs = _most_urgent([standing, new, self._of_movement(t, moving, tracks)])
        crops = self._crops.choose(needs, allowance)
        for crop in crops:
            self._sweep.mark(t, crop)
        return crops

    def predict(self, t: float, tracks: Tracks) -> Tracks:
        """The tracks of the previous frame, and those lost a moment ago, moved to where they are at `t`."""
        dt = np.float32(t - self._t if math.isfinite(self._t) else 0.0)
        known = set(tracks.track_id.tolist())
        lost = {n: self._lost.get(n, (t, 0)) for n in self._expected.track_id.tolist() if n not in known}
        self._lost = {n: (since, times) for n, (since, times) in lost.items() if t - since <= _LOST_S}
        if self._lost:
            tracks = Tracks.concatenate([tracks, self._expected[np.isin(self._expected.track_id, list(self._lost))]])
        xyxy = np.asarray(tracks.xyxy + np.tile(tracks.velocity, 2) * dt, np.float32)
        return Tracks(**{name: getattr(tracks, name) for name in tracks.columns if name != "xyxy"}, xyxy=xyxy)

    def is_idle(self, t: float, moving: Array) -> bool:
        """Nothing moves and nothing is due: the frame of time `t` needs no plan."""
        if len(moving) or t >= min(self._idle_until, self._sweep.due):
            self._idle_until = -math.inf
            return False
        self._t = t
        return True

    def learn(self, t: float, crops: Array, found: Detections, whole: Array) -> None:
        """What came out of the planned crops: `found`; rows `whole` (N,) bool of it were not cut by a crop's edge."""
        if len(crops) == 0:
            return
        tracks, self._idle_until = self._expected, -math.inf
        for crop in crops:
            served = self._crops.serves(crop, tracks.xyxy, longer(tracks.xyxy))
            for n in tracks.track_id[served].tolist():
                self._looked[n] = t
                if n in self._lost:
                    self._lost[n] = self._lost[n][0], self._lost[n][1] + 1
        self._looked = {n: self._looked[n] for n in tracks.track_id.tolist() if n in self._looked}
        certain = found.confidence >= self._certain
        self.sizes.learn(t, found.xyxy[whole & certain])
        self._learn_movement(t, crops, found[certain])
        self._learn_new(t, found[certain])

    def new_view(self) -> None:
        """The camera shows something else: what was swept is not what is there now."""
        self._sweep.forget()

    def seen(self, crops: Array) -> Array:
        """(K, 4) float32 px: after the planned crops, where an object that is not in the detections is not there.

        A crop in which some track would be much too small or too large to be found vouches only for the others. What
        reaches the frame's border reaches beyond it: nothing is there either.
        """
        tracks = self._expected
        areas = [np.zeros((0, 4), np.float32)]
        for crop in crops:
            within = inside(crop, self._crops.fit(tracks.xyxy))
            good = within & self._crops.serves(crop, tracks.xyxy, longer(tracks.xyxy))
            areas.append(
                self._crops.fit(tracks.xyxy[good]) if np.any(within & ~good) else crop[None].astype(np.float32)
            )
        seen = np.concatenate(areas)
        limits = np.array([0, 0, *self._crops.size], np.float32)
        beyond = np.array([-1, -1, 1, 1], np.float32) * max(self._crops.size)
        return np.asarray(np.where(seen == limits, seen + beyond, seen))

    def _of_tracks(self, t: float, tracks: Tracks, moving: Array) -> Needs:
        size = np.maximum(longer(tracks.xyxy), 1.0)
        speed = np.hypot(*tracks.velocity.T) / size
        stirred = boxes.intersection(tracks.xyxy, moving).sum(axis=1) > 0.1 * boxes.area(tracks.xyxy)
        ids = tracks.track_id.tolist()
        period = np.clip(_DRIFT / np.maximum(speed, 1e-6), self._look_s, self._verify_s)
        for i in [i for i, n in enumerate(ids) if n in self._lost]:
            period[i] = self._look_s * 2 * 3 ** min(4, self._lost[ids[i]][1])
        period[stirred] = self._look_s
        waited = t - np.array([self._looked.get(n, -math.inf) for n in ids])
        return Needs(grown(tracks.xyxy, _MARGIN * size), size, _due(waited / period))

    def _of_new(self, t: float, tracks: Tracks) -> Needs:
        known = boxes.iou(self._new[:, :4], tracks.xyxy).max(axis=1, initial=0.0) > 0.3
        self._new = self._new[~known]
        young = self._new[t - self._new[:, 4] <= _FOLLOW_S]
        size = np.maximum(longer(young), 1.0)
        return Needs(grown(young[:, :4], _MARGIN * size), size, _due((t - young[:, 5]) / self._look_s))

    def _of_movement(self, t: float, moving: Array, tracks: Tracks) -> Needs:
        own = np.maximum(longer(moving), 1.0)
        around = grown(tracks.xyxy, 0.1 * longer(tracks.xyxy))
        new = boxes.intersection(moving, around).sum(axis=1) < 0.5 * boxes.area(moving)
        cell = self.sizes.cells(moving)
        usual = self.sizes.expected()[cell]
        size = np.where((own > usual / 3) & (own < usual * 3), usual, own)  # NaN compares false
        size = np.maximum(size, _GROUP * own)
        waited = (t - self._glanced[cell]) / (self._look_s * 2 ** self._dull[cell])
        area = grown(moving, np.maximum(_MARGIN * size, (size - own) / 2))
        return Needs(area[new], size[new], _due(waited)[new])

    def _learn_movement(self, t: float, crops: Array, found: Detections) -> None:
        moving = self._moving
        self._dull *= math.exp((self._learned - t) / _DULL_S) if math.isfinite(self._learned) else 1.0
        self._learned = t
        looked = np.any([inside(crop, moving) for crop in crops], axis=0)
        hit = boxes.intersection(moving, found.xyxy).sum(axis=1) > 0.2 * boxes.area(moving)
        row, column = self.sizes.cells(moving)
        vain, good = looked & ~hit, looked & hit
        self._glanced[row[looked], column[looked]] = t
        self._dull[row[vain], column[vain]] = np.minimum(self._dull[row[vain], column[vain]] + 1, _DULL)
        self._dull[row[good], column[good]] = 0.0

    def _learn_new(self, t: float, found: Detections) -> None:
        new = found.xyxy[boxes.iou(found.xyxy, self._expected.xyxy).max(axis=1, initial=0.0) <= 0.3]
        overlap = boxes.iou(new, self._new[:, :4])
        first = np.full(len(new), t)
        if overlap.size:
            same = overlap.max(axis=1) > 0.2
            first[same] = self._new[overlap.argmax(axis=1)[same], 4]
        gone = overlap.max(axis=0, initial=0.0) > 0.2
        rows = np.column_stack([new, first, np.full(len(new), t)])
        self._new = np.concatenate([rows, self._new[~gone]])[:_LIMIT]


def _most_urgent(parts: list[Needs]) -> Needs:
    weight = np.concatenate([p.weight for p in parts])
    rows = np.argsort(-weight, kind="stable")[: min(_LIMIT, np.count_nonzero(weight))]
    xyxy, size = (np.concatenate([getattr(p, name) for p in parts]) for name in ("xyxy", "size"))
    return Needs(xyxy[rows], size[rows], weight[rows])


def _due(periods: Array) -> Array:
    """Weight of needs that waited so many periods: nothing before their time, then ever more."""
    return np.asarray(np.where(periods >= 0.9, np.minimum(periods, _MOST), 0.0))
