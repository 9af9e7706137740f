"""Ways to run one SSD model on frames, as people write them, to measure ours against. Each is `step(bgr) -> boxes`.

raw        interpreter.invoke() and nothing else: the bound
tutorial   OpenCV resize, float, set_tensor, dequantise everything, decode every anchor, NMS in a Python loop
pycoral    resize into the tensor's memory, dequantise everything, decode as arrays, NMS as arrays
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent import modelfile
from agent.detect.heads import ssd

Step = Callable[[Any], Any]


def interpreter(model: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_path=str(model), num_threads=threads)
    made.allocate_tensors()
    return made


def raw(model: Path, threads: int) -> Step:
    engine = interpreter(model, threads)
    return lambda bgr: engine.invoke()


class _Ssd:
    """What both hand-written loops need to know of the model, read from its card once."""

    def __init__(self, model: Path, threads: int) -> None:
        card = modelfile.read(model).card
        assert card
        self.engine = interpreter(model, threads)
        self.size, self.limits = card.input.size, card.input.range
        self.confidence, self.iou = card.confidence, card.iou  # the same for all
        parameters = ssd.msgspec.convert(card.decode, ssd.Decode)
        self.anchors = ssd.anchors_cxcywh(parameters.anchors, card.input.size)
        self.columns, self.scales = list(parameters.columns), np.array(parameters.box_scales)
        self.is_logit = any(o.role == "logit" for o in card.outputs)
        self.input = self.engine.get_input_details()[0]
        outputs = self.engine.get_output_details()
        self.box = next(d for d in outputs if d["shape"][-1] == 4)
        self.score = next(d for d in outputs if d["shape"][-1] != 4)

    def real(self, detail: Any) -> Any:
        scale, zero = detail["quantization"]
        return (self.engine.get_tensor(detail["index"])[0].astype(np.float32) - zero) * scale

    def decoded(self) -> tuple[Any, Any]:
        """All boxes (N, 4) px and all scores (N, labels)."""
        t, scores = self.real(self.box) / self.scales, self.real(self.score)[:, self.columns]
        if self.is_logit:
            scores = 1 / (1 + np.exp(-scores))
        a = self.anchors
        cy, cx = t[:, 0] * a[:, 3] + a[:, 1], t[:, 1] * a[:, 2] + a[:, 0]
        h, w = np.exp(t[:, 2]) * a[:, 3], np.exp(t[:, 3]) * a[:, 2]
        return np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1), scores

    def nms(self, boxes: Any, scores: Any) -> list[int]:
        """As a loop in Python."""
        kept: list[int] = []
        for i in sorted(np.flatnonzero(scores >= self.confidence), key=lambda i: -scores[i]):
            if all(_iou(boxes[i], boxes[k]) <= self.iou for k in kept):
                kept.append(int(i))
        return kept


def tutorial(model: Path, threads: int) -> Step:
    net = _Ssd(model, threads)
    low, high = net.limits

    def step(bgr: Any) -> Any:
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        picture = np.expand_dims(cv2.resize(rgb, net.size), 0).astype(np.float32) * ((high - low) / 255) + low
        scale, zero = net.input["quantization"]
        net.engine.set_tensor(net.input["index"], np.clip(np.round(picture / scale + zero), -128, 127).astype(np.int8))
        net.engine.invoke()
        boxes, scores = net.decoded()
        return [
            (*boxes[row], scores[row, label], label)
            for label in range(scores.shape[1])
            for row in net.nms(boxes, scores[:, label])
        ]

    return step


def pycoral(model: Path, threads: int) -> Step:
    net = _Ssd(model, threads)

    def step(bgr: Any) -> Any:
        view = net.engine.tensor(net.input["index"])()[0].view(np.uint8)
        cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), net.size, dst=view)
        np.bitwise_xor(view, 0x80, out=view)
        del view
        net.engine.invoke()
        boxes, scores = net.decoded()
        label, best = scores.argmax(axis=1), scores.max(axis=1)
        rows = np.flatnonzero(best >= net.confidence)
        xywh = np.concatenate([boxes[rows, :2], boxes[rows, 2:] - boxes[rows, :2]], axis=1)
        given = xywh.tolist(), best[rows].tolist(), label[rows].tolist()
        return cv2.dnn.NMSBoxesBatched(*given, net.confidence, net.iou)

    return step


def _iou(a: Any, b: Any) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(0.0, w) * max(0.0, h)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)
