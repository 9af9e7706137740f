"""Frames and crops of them in, detections in frame pixels out; times every step."""

from __future__ import annotations

from time import perf_counter

import cv2
import numpy as np

from agent import boxes
from agent.data import Array, Detections, Frame, Tracks
from agent.detect.ahead import Ahead, Begun
from agent.detect.letterbox import Letterbox, Placement
from agent.detect.merge import cut, merge, of_tracks
from agent.detect.model import Model

STAGES = ("letterbox", "invoke", "decode", "merge")


class Detector:
    """Crops and whole frames through one model."""

    def __init__(self, model: Model, *, confidence: float | None = None, only: tuple[str, ...] = ()) -> None:
        """`confidence` None takes the card's; `only` keeps these labels (all of them known to the model)."""
        card = model.card
        self.model = model
        self.times: dict[str, float] = {}  # ms per stage of the last frame, summed over its crops
        self._letterbox = Letterbox(card.input, model.backend.inputs[0])
        self._ahead: Ahead | None = None
        self._least = card.confidence if confidence is None else confidence
        self._head = model.head(self._least)
        self._wanted = np.array([not only or label in only for label in card.labels], np.bool_)
        cv2.setNumThreads(1)  # a crop is too small to share out, and idle OpenCV threads take XNNPACK's cores

    def reach_down_to(self, confidence: float) -> None:
        """From the next frame on, candidates of at least this confidence."""
        if confidence != self._least:
            self._least, self._head = confidence, self.model.head(confidence)

    def use(self, threads: int) -> None:
        """Another number of threads for the model, between two frames. Raises ModelError."""
        (self._ahead or self.model.backend).use(threads)

    def detect(self, frame: Frame) -> Detections:
        """What is in the whole frame: px of the frame, by falling confidence, overlaps of one label removed."""
        self.times = dict.fromkeys(STAGES, 0.0)
        return self._look(frame, np.array([0, 0, *frame.size]))

    def begin(self, frame: Frame) -> Begun:
        """The same in two steps, for inference aside of this thread; what was begun before was waited for."""
        self._ahead = self._ahead or Ahead(self.model.backend)
        begin = perf_counter()
        placement = self._letterbox.fill(self.model.backend.input, frame.image, frame.small)
        return self._ahead.begin(frame, placement, (perf_counter() - begin) * 1e3)

    def read(self, begun: Begun) -> Detections:
        """What is in a frame that was begun, as `detect` says it."""
        outputs, ms = begun.wait()
        self.times = {**dict.fromkeys(STAGES, 0.0), "letterbox": begun.letterbox_ms, "invoke": ms}
        return self._decode(outputs, begun.placement, np.array([0, 0, *begun.frame.size]))

    def look(self, frame: Frame, crops: Array, expected: Tracks) -> tuple[Detections, Array]:
        """The same for crops (K, 4) int px of the frame, merged, and which rows (N,) bool no crop's edge cuts.

        `expected` are the tracks as they should be in this frame.
        """
        self.times = dict.fromkeys(STAGES, 0.0)
        if len(crops) == 0:
            return Detections.empty(), np.zeros(0, np.bool_)
        parts = [self._look(frame, crop) for crop in crops]
        begin = perf_counter()
        found = Detections.concatenate(parts)
        crop_of = np.repeat(np.arange(len(crops)), [len(part) for part in parts])
        is_cut = np.concatenate(
            [np.zeros(0, np.bool_), *(cut(p.xyxy, crop, frame.size) for p, crop in zip(parts, crops, strict=True))]
        )
        explained = of_tracks(found.xyxy, found.class_id, crops[crop_of], expected.xyxy, expected.class_id)
        kept = merge(found, crop_of, is_cut, self.model.card.iou, explained)
        self.times["merge"] += (perf_counter() - begin) * 1e3
        return found[kept], ~is_cut[kept]

    def _look(self, frame: Frame, crop: Array) -> Detections:
        begin = perf_counter()
        left, top, right, bottom = crop.tolist()
        small = frame.small if (left, top, right, bottom) == (0, 0, *frame.size) else None
        placement = self._letterbox.fill(self.model.backend.input, frame.image[top:bottom, left:right], small)
        filled = perf_counter()
        outputs = self.model.backend.run()
        invoked = perf_counter()
        self.times["letterbox"] += (filled - begin) * 1e3
        self.times["invoke"] += (invoked - filled) * 1e3
        return self._decode(outputs, placement, crop)

    def _decode(self, outputs: list[Array], placement: Placement, crop: Array) -> Detections:
        begin = perf_counter()
        found = self._head.decode(outputs)
        xyxy = placement.to_crop(found.xyxy) + np.tile(crop[:2], 2).astype(np.float32)
        found = self._settle(Detections(xyxy, found.confidence, found.class_id), crop)
        self.times["decode"] += (perf_counter() - begin) * 1e3
        return found

    def _settle(self, found: Detections, crop: Array) -> Detections:
        limits = crop.astype(np.float32)
        xyxy = np.clip(found.xyxy, np.tile(limits[:2], 2), np.tile(limits[2:], 2))
        keep: Array = self._wanted[found.class_id] & np.all(xyxy[:, 2:] > xyxy[:, :2], axis=1)
        found = Detections(xyxy, found.confidence, found.class_id)[keep]
        return found[boxes.nms(found.xyxy, found.confidence, found.class_id, self.model.card.iou)]
