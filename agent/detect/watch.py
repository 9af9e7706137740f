"""A frame of some camera in, what is in it out: in `regions` mode only crops where something may have changed.

motion -> regions -> detector (letterbox -> backend -> head -> merge) -> what the regions learn from it
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from agent import config
from agent.data import Array, Detections, Frame, Tracks
from agent.detect.ahead import Begun
from agent.detect.budget import Budget
from agent.detect.detector import STAGES, Detector
from agent.detect.motion import Motion, Polygon
from agent.detect.regions import Planner
from agent.modelfile import ModelError

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _View:
    """What is known of one camera's picture."""

    motion: Motion
    planner: Planner
    t: float  # s, of the last frame


class Watch:
    """One detector for all cameras; what it remembers of each."""

    def __init__(
        self,
        detector: Detector,
        settings: config.Detect | None = None,
        masks: Mapping[str, Sequence[Polygon]] | None = None,
        certain: float | None = None,
    ) -> None:
        """`masks` by camera: polygons 0..1 in which movement does not count.

        `certain` is the confidence from which a detection may become a track; None takes the model's own.
        """
        self.model = detector.model
        self.seen: Array | None = None  # (K, 4) float32 px looked at in the last frame; None: all of it
        self.times: dict[str, float] = {}  # ms per stage of the last frame, summed over its crops
        self.invokes = 0  # crops run for the last frame
        self._fewer_crops = False
        self._detector, self._settings, self._masks = detector, settings or config.Detect(), dict(masks or {})
        self._certain = self.model.card.confidence if certain is None else certain
        self._tuned: dict[str, tuple[float, float]] = {}  # camera -> confidence that founds a track, that keeps one
        self._budget = Budget(self._settings.invokes_per_second, self._settings.invokes_per_frame)
        self._views: dict[str, _View] = {}

    def tune(self, camera: str, masks: Sequence[Polygon], certain: float, least: float) -> None:
        """One camera's masks and confidences from its next frame on; what changes them has its picture learned anew.

        Detections from `certain` on may become a track, those from `least` on are told of; cameras share the decoder.
        """
        before = list(self._masks.get(camera, ())), self._tuned.get(camera, (self._certain, least))[0]
        if before != (list(masks), certain):
            self._views.pop(camera, None)
        self._masks[camera], self._tuned[camera] = masks, (certain, least)
        self._detector.reach_down_to(min(lowest for _, lowest in self._tuned.values()))

    def spare(self, fewer_crops: bool, one_thread: bool) -> None:
        """From the next frame on: half the crops that it could have, a single thread for the model, or neither."""
        self._fewer_crops = fewer_crops
        threads = 1 if one_thread else self.model.threads
        if self.model.backend.threads != threads:
            try:
                self._detector.use(threads)
            except ModelError as error:  # its file is gone; what is open goes on
                log.warning("%s; it keeps its threads", error)

    def forget(self, camera: str) -> None:
        """It is not watched any more."""
        self._views.pop(camera, None)
        self._tuned.pop(camera, None)
        self._masks.pop(camera, None)

    def detect(self, camera: str, frame: Frame, expected: Tracks) -> Detections:
        """What is in the frame: px of the frame, by falling confidence; `expected` are the tracks of the last one."""
        if self._settings.mode == "full":
            found = self._detector.detect(frame)
            self.seen, self.times, self.invokes = None, self._detector.times, 1
            return found
        view = self._view(camera, frame)
        begin = perf_counter()
        movement = view.motion.update(frame.image if frame.small is None else frame.small, frame.t)
        moved = perf_counter()
        if movement.kind == "view":
            view.planner.new_view()
        elif view.planner.is_idle(frame.t, movement.xyxy):
            self.seen, self.invokes = np.zeros((0, 4), np.float32), 0
            self.times = {**dict.fromkeys(STAGES, 0.0), "motion": (moved - begin) * 1e3, "regions": 0.0}
            return Detections.empty()
        tracks = view.planner.predict(frame.t, expected)
        most = self._budget.allowance(camera, frame.t)
        most = -(-most // 2) if self._fewer_crops else most
        crops = view.planner.plan(frame.t, movement.xyxy, tracks, most)
        planned = perf_counter()
        self._budget.spend(camera, len(crops))
        found, whole = self._detector.look(frame, crops, tracks)
        looked = perf_counter()
        view.planner.learn(frame.t, crops, found, whole)
        self.seen, self.invokes = view.planner.seen(crops), len(crops)
        self.times = {
            **self._detector.times,
            "motion": (moved - begin) * 1e3,
            "regions": (planned - moved + perf_counter() - looked) * 1e3,
        }
        return found

    def begin(self, frame: Frame) -> Begun | None:
        """Have a frame looked at aside of this thread; None in a mode that needs the tracks of the one before."""
        return self._detector.begin(frame) if self._settings.mode == "full" else None

    def read(self, begun: Begun) -> Detections:
        """What is in a frame that was begun."""
        found = self._detector.read(begun)
        self.seen, self.times, self.invokes = None, self._detector.times, 1
        return found

    def _view(self, camera: str, frame: Frame) -> _View:
        """What is known of the camera; nothing, where it came back with another picture size or an older clock."""
        view = self._views.get(camera)
        if view is None or view.motion.size != frame.size or frame.t < view.t:
            motion = Motion(frame.size, self._masks.get(camera, ()), self._settings.motion_threshold)
            side = int(np.max(self.model.card.input.size))
            certain = self._tuned.get(camera, (self._certain, 0.0))[0]
            planner = Planner(frame.size, side, certain=certain, sweep_s=self._settings.sweep_s)
            view = self._views[camera] = _View(motion, planner, frame.t)
        view.t = frame.t
        return view
