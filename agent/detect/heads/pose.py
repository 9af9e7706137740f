"""YOLO pose (v8, 11), cut before its decoding: boxes as in yolo.py, and a skeleton in every cell.

per stride s
box        (1, H/s, W/s, 4·reg_max)   as in yolo.py, and so are
logit      (1, H/s, W/s, C)           these; C is 1, people, in most
keypoints  (1, H/s, W/s, K·3)         K times: tx ty tv       decode {"reg_max": 16, "keypoints": K}
           x = (2·tx + column) · s    y = (2·ty + row) · s    visibility = sigmoid(tv)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.data import Array, Detections
from agent.detect import outputs as raw
from agent.detect.heads.yolo import Distances, decode_of
from agent.modelfile import Card, ModelError, Tensor


class Head:
    """Decodes one model's boxes and skeletons."""

    def __init__(self, card: Card, outputs: Sequence[Tensor], confidence: float, multi_label: bool = False) -> None:
        decode = decode_of(card)
        if decode.box != "dfl" or decode.keypoints < 1:
            raise ModelError("model card: head 'pose' needs decode.keypoints, how many there are, and box 'dfl'")
        more = {"keypoints": 3 * decode.keypoints}
        self._boxes = Distances(card, outputs, confidence, multi_label, more)
        self._keypoints = decode.keypoints

    def decode(self, outputs: Sequence[Array]) -> Detections:
        """Candidates in px of the model's input, without their skeletons."""
        found = self._boxes.candidates(outputs)
        return found.detections(self._boxes.xyxy(outputs, found.row))

    def poses(self, outputs: Sequence[Array]) -> tuple[Detections, Array]:
        """Candidates, and their keypoints (N, K, 3): x, y in px of the model's input, visibility 0..1."""
        found, grids = self._boxes.candidates(outputs), self._boxes.grids
        t = grids.gather(outputs, "keypoints", found.row).reshape(-1, self._keypoints, 3)
        corner, stride = (
            grids.centre[found.row][:, None] - 0.5,
            grids.stride[found.row][:, None],
        )  # (N, 1, 2), (N, 1, 1)
        keypoints = np.concatenate([(2 * t[..., :2] + corner) * stride, raw.sigmoid(t[..., 2:])], axis=2)
        boxes = found.detections(self._boxes.xyxy(outputs, found.row))
        return boxes, np.asarray(keypoints[found.order], np.float32)
