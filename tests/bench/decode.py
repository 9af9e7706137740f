"""What decoding costs: `python -m tests.bench.decode`, one line a head, min and median of 300 runs, one thread.

The outputs are int8 noise below the threshold with planted objects, each four cells large, so that some hundred
candidates survive, as in a busy street.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from agent.data import Array, Detections
from agent.detect.heads import centernet, ultralytics, yolo, yolox
from agent.modelfile import Card, Input, Output, Tensor

RUNS, OBJECTS, CONFIDENCE = 300, 12, 0.25
QUIET, SURE = -60, 110  # stored values
ANCHORS = [[[10, 13], [16, 30], [33, 23]]] * 3


class Outputs:
    """Outputs of a model that was never trained."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.described: list[Output] = []
        self.tensors: list[Tensor] = []
        self.arrays: list[Array] = []

    def add(
        self, role: str, shape: tuple[int, ...], stride: int | None, zero_point: int = 60, scale: float = 0.08
    ) -> Array:
        """Noise that does not pass."""
        values = np.clip(self.rng.normal(QUIET, 10, shape), -128, 40).astype(np.int8)
        self.described.append(Output(f"{role}{stride}", role, shape, stride))
        self.tensors.append(Tensor(f"{role}{stride}", shape, "int8", scale, zero_point))
        self.arrays.append(values)
        return values

    def places(self, side: int) -> list[tuple[slice, slice]]:
        """Where objects are planted in a side × side grid."""
        corners = self.rng.integers(0, side - 2, (OBJECTS, 2)).tolist()
        return [(slice(y, y + 2), slice(x, x + 2)) for y, x in corners]


def yolo_v8(size: int, labels: int) -> Callable[[], Detections]:
    out = Outputs()
    for s in (8, 16, 32):
        side = size // s
        out.add("box", (1, side, side, 64), s, -20)
        logits = out.add("logit", (1, side, side, labels), s)
        for y, x in out.places(side):
            logits[0, y, x, out.rng.integers(labels)] = SURE
    return _decoder(yolo, out, size, labels)


def yolo_v5(size: int, labels: int) -> Callable[[], Detections]:
    out = Outputs()
    for s in (8, 16, 32):
        side = size // s
        grid = out.add("grid", (1, side, side, 3 * (5 + labels)), s).reshape(side, side, 3, 5 + labels)
        for y, x in out.places(side):
            grid[y, x, 1, 4] = grid[y, x, 1, 5 + out.rng.integers(labels)] = SURE
    return _decoder(yolo, out, size, labels, {"box": "anchors", "anchors": ANCHORS})


def yolo_x(size: int, labels: int) -> Callable[[], Detections]:
    out = Outputs()
    for s in (8, 16, 32):
        side = size // s
        out.add("box", (1, side, side, 4), s, QUIET)
        objectness, logits = out.add("objectness", (1, side, side, 1), s), out.add("logit", (1, side, side, labels), s)
        for y, x in out.places(side):
            objectness[0, y, x] = logits[0, y, x, out.rng.integers(labels)] = SURE
    return _decoder(yolox, out, size, labels)


def center_net(size: int, labels: int) -> Callable[[], Detections]:
    out, side = Outputs(), size // 4
    heat = out.add("heat", (1, side, side, labels), 4)
    out.add("size", (1, side, side, 2), 4, QUIET)
    for y, x in [place for _ in range(3) for place in out.places(side)]:
        heat[0, y, x, out.rng.integers(labels)] = SURE
    return _decoder(centernet, out, size, labels)


def ultralytics_int8(size: int, labels: int) -> Callable[[], Detections]:
    out, count = Outputs(), sum((size // s) ** 2 for s in (8, 16, 32))
    table = out.add("predictions", (1, 4 + labels, count), None, -128, 1 / 255)
    table[0, 4:] -= 40
    for column in out.rng.integers(0, count, 12 * OBJECTS):
        table[0, 4 + out.rng.integers(labels), column] = 0
    return _decoder(ultralytics, out, size, labels)


def _decoder(head: Any, out: Outputs, size: int, labels: int, decode: dict[str, Any] | None = None) -> Any:
    names = tuple(f"label {i}" for i in range(labels))
    card = Card("detect", head.__name__.rpartition(".")[2], names, Input((size, size)), tuple(out.described))
    card = type(card)(card.task, card.head, card.labels, card.input, card.outputs, decode=decode or {})
    made = head.Head(card, out.tensors, CONFIDENCE)
    return lambda: made.decode(out.arrays)


def main() -> None:
    print("head               px  labels  candidates   min ms  median ms")
    for make in (yolo_v8, yolo_v5, yolo_x, center_net, ultralytics_int8):
        for size, labels in ((640, 80), (320, 80), (640, 5)):
            step = make(size, labels)
            found, times = len(step()), []
            for _ in range(RUNS):
                begin = time.perf_counter()
                step()
                times.append((time.perf_counter() - begin) * 1e3)
            middle = statistics.median(times)
            print(f"{make.__name__:17} {size:4} {labels:7} {found:11} {min(times):8.3f} {middle:10.3f}")


if __name__ == "__main__":
    main()
