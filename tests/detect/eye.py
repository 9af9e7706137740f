"""A model that needs no file: it sees red rectangles in its input, if they are neither too small nor too large."""

import functools

import cv2
import numpy as np

from agent.data import Tracks
from agent.detect.model import Model
from agent.modelfile import Card, Input, Tensor

RED = (230, 20, 20)
FOUND = 50  # rows of the outputs


class Backend:
    """Speaks as TFLite_Detection_PostProcess does: boxes, classes, scores, count."""

    def __init__(self, size, least, most):
        self.inputs = [Tensor("image", (1, size[1], size[0], 3), "uint8", 1.0, 0)]
        names = ("TFLite_Detection_PostProcess", *(f"TFLite_Detection_PostProcess:{i}" for i in (1, 2, 3)))
        shapes = ((1, FOUND, 4), (1, FOUND), (1, FOUND), (1,))
        self.outputs = [Tensor(n, s, "float32") for n, s in zip(names, shapes, strict=True)]
        self.input = np.zeros(self.inputs[0].shape, np.uint8)
        self.least, self.most, self.runs = least, most, 0
        self.threads = 1

    def run(self):
        self.runs += 1
        picture = self.input[0].astype(int)
        red = ((picture[..., 0] > 150) & (picture[..., 1] < 100) & (picture[..., 2] < 100)).astype(np.uint8)
        height, width = red.shape
        boxes, scores = np.zeros((1, FOUND, 4), np.float32), np.zeros((1, FOUND), np.float32)
        n = 0
        for x, y, w, h, area in cv2.connectedComponentsWithStats(red, connectivity=4)[2][1 : FOUND + 1]:
            if self.least <= max(w, h) <= self.most and area > 0.6 * w * h:
                boxes[0, n] = y / height, x / width, (y + h) / height, (x + w) / width
                scores[0, n] = 0.95
                n += 1
        return [boxes, np.zeros_like(scores), scores, np.array([n], np.float32)]


class Eye(Model):
    def __init__(self, size=(96, 96), least=10, most=90):
        self.backend = Backend(size, least, most)
        self.card = Card("detect", "ssd_postprocess", ("person",), Input(size, resize="stretch"))
        self.path = self.name = self.sha256 = "eye"
        self.threads = 1


def paint(size, *xyxy, seed=0):
    """A grey picture (H, W, 3) uint8 with sensor noise, one of four, and red rectangles."""
    picture = noise(size, seed % 4).copy()
    for x1, y1, x2, y2 in np.round(np.array(xyxy).reshape(-1, 4)).astype(int):
        picture[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = RED
    return picture


@functools.cache
def noise(size, seed):
    return np.random.default_rng(seed).normal(110, 4, (size[1], size[0], 3)).astype(np.uint8)


def tracks(*rows, first_id=1):
    """Rows x1, y1, x2, y2, or with velocity vx, vy (px/s) behind."""
    table = np.array([[*row, 0, 0][:6] for row in rows], np.float32).reshape(-1, 6)
    n = len(table)
    one, zero = np.ones(n, np.float32), np.zeros(n, np.float32)
    return Tracks(
        track_id=np.arange(first_id, first_id + n, dtype=np.int64),
        xyxy=table[:, :4],
        velocity=table[:, 4:],
        confidence=one,
        class_id=np.zeros(n, np.int32),
        age=one,
        missed=zero,
        row=np.arange(n, dtype=np.int32),
    )
