"""Detections that were recorded or made up, in place of a model: the rest of the pipeline cannot tell.

A recording is a model file with a card like any other, whose flatbuffer is only its mark and an .npy of detections.
Each `run` answers with the next frame, whatever the picture: use it with [detect] mode = "full", for one camera. After
the last frame there is nothing more to see. `record` writes one.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent import modelfile
from agent.data import Array, Detections
from agent.modelfile import Card, Input, ModelError, Quant, Tensor

_MARK = b"\0\0\0\0TFL3"
_SIDE = 8  # px of the input that nobody looks at
_MOST = 300  # detections a frame


class Backend:
    """Frame after frame of one recording."""

    def __init__(self, path: Path, threads: int) -> None:
        """`threads` changes nothing. Raises ModelError."""
        self.threads = threads
        try:
            table = np.load(io.BytesIO(path.read_bytes()[len(_MARK) :]), allow_pickle=False)
            self._begins = np.searchsorted(table[:, 0], np.arange(int(table[-1:, 0].max(initial=-1)) + 2))
            self._rows = table[:, 1:]
        except (OSError, ValueError, IndexError) as error:
            raise ModelError(f"model {path}: no recording of detections; kind replay reads nothing else") from error
        self._next = 0
        self._picture = np.zeros((1, _SIDE, _SIDE, 3), np.uint8)
        self.inputs = [Tensor("picture", self._picture.shape, "uint8", 1.0)]
        shapes = {"box": (1, _MOST, 4), "class": (1, _MOST), "score": (1, _MOST), "count": (1,)}
        self.outputs = [Tensor(name, shape, "float32") for name, shape in shapes.items()]
        self._out = [np.zeros(shape, np.float32) for shape in shapes.values()]
        self.runs_on = "recording"

    @property
    def input(self) -> Array:
        """A picture that nobody looks at."""
        return self._picture

    def run(self) -> list[Array]:
        """The next frame's detections, as TFLite_Detection_PostProcess has them."""
        box, class_id, confidence, count = self._out
        begin, end = self._begins[[min(k, len(self._begins) - 1) for k in (self._next, self._next + 1)]]
        rows = self._rows[begin:end]
        n = len(rows)
        box[0, :n], confidence[0, :n], class_id[0, :n], count[0] = rows[:, [1, 0, 3, 2]], rows[:, 4], rows[:, 5], n
        self._next += 1
        return self._out

    def use(self, threads: int) -> None:
        """Changes nothing."""
        self.threads = threads

    def float_tensors(self) -> list[str]:
        """None that were promised otherwise."""
        return []


def record(path: Path, frames: Sequence[Detections], size: tuple[int, int], labels: Sequence[str]) -> None:
    """Write a recording: the detections of each frame, in px of pictures of this (width, height)."""
    scale = np.array([1, *size, *size, 1, 1], np.float64)
    parts = [
        np.column_stack([np.full(len(one), k), one.xyxy, one.confidence, one.class_id])[:_MOST]
        for k, one in enumerate(frames)
    ]
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate([np.zeros((0, 7)), *parts]) / scale)
    fed = Input((_SIDE, _SIDE), resize="stretch")
    card = Card("detect", "ssd_postprocess", tuple(labels), fed, confidence=0.4, iou=0.95, quant=Quant("float32"))
    path.write_bytes(modelfile.pack(_MARK + buffer.getvalue(), card)[0])
