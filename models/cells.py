"""What the cells of a detector's grids should answer, and how wrong they are.

Rows are cells of all grids, the finest first, as agent.detect.grids counts them; each is: left, top, right, bottom from
the cell's middle, in cells, and the label, -1 where there is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from agent.data import Array
from models.augment import Augment

_CELLS = 6  # that a box's longer side may have in its grid
_NEAR = 1.5  # cells around a box's middle that answer for it
_SEEN = 0.4  # share of a box that a window must show


def grids(boxes: Array, size: tuple[int, int], strides: Sequence[int]) -> Array:
    """(B, 5) -> (rows, 5) float32: what each cell should answer."""
    parts = []
    there = boxes[boxes[:, 4] >= 0]
    longest = (there[:, 2:4] - there[:, :2]).max(axis=1, initial=0)
    level = np.searchsorted(np.array(strides[:-1]) * _CELLS, longest)
    for number, stride in enumerate(strides):
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride] + 0.5
        middle = np.stack([x.reshape(-1), y.reshape(-1)], axis=1)  # (cells, 2)
        answer = np.full((len(middle), 5), -1, np.float32)
        mine = there[level == number]
        for box in mine[np.argsort(-np.prod(mine[:, 2:4] - mine[:, :2], axis=1))]:  # small ones over large ones
            xyxy, centre = box[:4] / stride, (box[:2] + box[2:4]) / 2 / stride
            inside = (middle > xyxy[:2]).all(axis=1) & (middle < xyxy[2:]).all(axis=1)
            near = inside & (np.abs(middle - centre).max(axis=1) <= _NEAR)
            near |= (np.floor(middle) == np.floor(centre)).all(axis=1)
            answer[near] = np.concatenate(
                [middle[near] - xyxy[:2], xyxy[2:] - middle[near], np.full((int(near.sum()), 1), box[4])], axis=1
            )
        parts.append(answer)
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class Windows:
    """Call it with a generator, pictures and their boxes: a window of each at the net's size, in other light."""

    size: tuple[int, int]  # (width, height) px of the net's input
    strides: tuple[int, ...]
    least: float  # share of a picture's sides that a window has at least
    light: Augment

    def __call__(self, generator: np.random.Generator, x: Array, y: Array) -> tuple[Array, Array]:
        """(N, H, W, 3) uint8 and (N, B, 5) px -> (N, h, w, 3) uint8 and (N, rows, 5)."""
        made = [self.window(generator, image, boxes) for image, boxes in zip(x, y, strict=True)]
        return np.stack([image for image, _ in made]), np.stack([answer for _, answer in made])

    def window(self, generator: np.random.Generator, image: Array, boxes: Array) -> tuple[Array, Array]:
        """One of them."""
        whole = np.array([image.shape[1], image.shape[0]])
        side = whole * generator.uniform(self.least, 1.0) * generator.uniform(0.85, 1.0, 2)
        start = generator.uniform(0, whole - side)
        scale = np.array(self.size) / side
        is_mirrored = self.light.flips != "none" and generator.random() < 0.5
        matrix = np.array([[scale[0], 0, -start[0] * scale[0]], [0, scale[1], -start[1] * scale[1]]])
        if is_mirrored:
            matrix[0] = [-scale[0], 0, self.size[0] + start[0] * scale[0]]
        shown = cv2.warpAffine(image, matrix, self.size, flags=cv2.INTER_AREA)
        return self.light.lit(generator, shown), grids(self._seen(boxes, matrix), self.size, self.strides)

    def _seen(self, boxes: Array, matrix: Array) -> Array:
        """Boxes in the window, cut at its border; not those of which too little is left."""
        corners = boxes[:, :4].reshape(-1, 2, 2) * [matrix[0, 0], matrix[1, 1]] + matrix[:, 2]
        moved = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        cut = np.clip(moved, 0, np.array(self.size * 2))
        left, before = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (cut, moved))
        keep = (boxes[:, 4] >= 0) & (left > _SEEN * before)
        return np.asarray(np.concatenate([cut, boxes[:, 4:]], axis=1)[keep], np.float32)


def loss(truth: Any, answer: Any) -> Any:
    """Quality focal loss of the labels, 1 - generalised IoU (Rezatofighi et al., 2019) of the boxes that are there."""
    from keras import ops  # noqa: PLC0415

    wanted, sides, logits = truth[..., :4], answer[..., :4], answer[..., 4:]
    is_there = ops.cast(truth[..., 4] >= 0, "float32")
    count = ops.sum(is_there) + 1.0

    def area(ltrb: Any) -> Any:
        return ops.maximum(ltrb[..., 0] + ltrb[..., 2], 0.0) * ops.maximum(ltrb[..., 1] + ltrb[..., 3], 0.0)

    both, around = area(ops.minimum(wanted, sides)), area(ops.maximum(wanted, sides)) + 1e-6
    either = area(wanted) + area(sides) - both + 1e-6
    fit = both / either
    apart = ops.sum(is_there * (1 - fit + (around - either) / around)) / count
    label = ops.one_hot(ops.cast(truth[..., 4], "int32"), logits.shape[-1])  # -1: all 0
    quality = label * ops.stop_gradient(ops.clip(fit, 0.0, 1.0))[..., None]
    entropy = ops.softplus(logits) - quality * logits
    unsure = ops.sum(ops.square(ops.sigmoid(logits) - quality) * entropy) / count
    return 2 * unsure + 2 * apart
