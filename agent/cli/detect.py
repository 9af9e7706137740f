"""Try a model on pictures: one JSON line an image, and pictures with what was found.

    {"image": "bus.jpg", "size": [810, 1080],
     "detections": [{"xyxy": [x1, y1, x2, y2], "label": "person", "confidence": 0.91, "class_id": 0}]}
    in place of detections:
     "labels": [{"label": "street car", "confidence": 0.83, "class_id": 829}, ..]      of a classifier, the best five
     "shares": [{"label": "road", "share": 0.41, "class_id": 7}, ..]                   of a segmenter, of the picture

Boxes are px of the image. A picture that cannot be read is told on stderr, the others are still done, and the
exit code is 2.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import cv2
import msgspec
import numpy as np

from agent import config, overlay
from agent.data import Array, Detections, Frame, LookoutError
from agent.detect.detector import Detector
from agent.detect.letterbox import Letterbox
from agent.detect.model import Model

_BEST = 5  # labels of a classifier that are told
_LEAST = 0.0005  # confidence, or share of a picture, that is told
Reader = Callable[[Array], tuple[dict[str, Any], Array]]  # picture -> fields of its line, picture with what was found


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--model", type=Path, default=config.shipped(config.DEFAULT_MODEL), help="a .tflite file")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels of a model that carries none, one a line")
    parser.add_argument("--confidence", type=fraction, help="report from this on, 0..1 (default: the model's own)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines there instead of stdout")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="write each picture with its boxes there")


def run(args: argparse.Namespace) -> int:
    model = Model(args.model, labels_file=args.labels)
    by_head = {"classify": _labels, "segment": _shares}
    read = by_head.get(model.card.head, _boxes)(model, args.confidence)
    failed = 0
    with _output(args.json) as out:
        for path in args.images:
            try:
                image = read_image(path)
                fields, picture = read(image)
                if args.draw:
                    _write(args.draw / f"{path.stem}.jpg", picture)
            except LookoutError as error:
                print(f"lookout: {error}; going on with the others", file=sys.stderr)
                failed += 1
                continue
            size = [image.shape[1], image.shape[0]]
            out.write(msgspec.json.encode({"image": str(path), "size": size, **fields}).decode() + "\n")
    return 2 if failed else 0


def _boxes(model: Model, confidence: float | None) -> Reader:
    """Of anything that finds boxes; raises ModelError for a model that gives nothing of the three."""
    detector = Detector(model, confidence=confidence)

    def read(image: Array) -> tuple[dict[str, Any], Array]:
        found = detector.detect(Frame(image, 0, 0.0))
        return {"detections": rows(found, model.card.labels)}, overlay.draw(image, found, model.card.labels)

    return read


def _labels(model: Model, confidence: float | None) -> Reader:
    """Of a classifier: the best labels, from `confidence` on."""
    head, letterbox = model.classifier(), Letterbox(model.card.input, model.backend.inputs[0])

    def read(image: Array) -> tuple[dict[str, Any], Array]:
        letterbox.fill(model.backend.input, image)
        scores = head.scores(model.backend.run())
        least = _LEAST if confidence is None else confidence
        best = [int(i) for i in np.argsort(-scores, kind="stable")[:_BEST] if scores[i] >= least]
        told = [{"label": model.card.labels[i], "confidence": round(float(scores[i]), 4), "class_id": i} for i in best]
        whole = np.array([[0, 0, image.shape[1] - 1, image.shape[0] - 1]], np.float32)
        first = Detections(whole[: len(best)], scores[best[:1]], np.array(best[:1], np.int32))
        return {"labels": told}, overlay.draw(image, first, model.card.labels)

    return read


def _shares(model: Model, _: float | None) -> Reader:
    """Of a segmenter: how much of the picture each label has, without the grey around a letterboxed one."""
    head, letterbox = model.segmenter(), Letterbox(model.card.input, model.backend.inputs[0])

    def read(image: Array) -> tuple[dict[str, Any], Array]:
        placement = letterbox.fill(model.backend.input, image)
        mask = head.mask(model.backend.run())
        mask = np.ascontiguousarray(mask[placement.cells(mask.shape, image.shape, model.card.input.size)])
        shares = np.bincount(mask.reshape(-1), minlength=1) / mask.size
        told = [
            {"label": model.card.labels[i], "share": round(float(shares[i]), 4), "class_id": int(i)}
            for i in np.argsort(-shares, kind="stable")
            if shares[i] >= _LEAST
        ]
        return {"shares": told}, overlay.paint(image, mask)

    return read


def rows(detections: Detections, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Detections as JSON has them; px to a tenth, confidence to four decimals."""
    return [
        {
            "xyxy": [round(float(v), 1) for v in xyxy],
            "label": labels[class_id],
            "confidence": round(float(confidence), 4),
            "class_id": int(class_id),
        }
        for xyxy, confidence, class_id in zip(detections.xyxy, detections.confidence, detections.class_id, strict=True)
    ]


def read_image(path: Path) -> Array:
    """(H, W, 3) uint8 RGB. Raises LookoutError: missing or not a picture."""
    if not path.is_file():
        raise LookoutError(f"image {path}: no such file")
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError) as error:  # one that says it is larger than OpenCV takes, or than memory
        raise LookoutError(f"image {path}: claims to be too large to be read") from error
    if image is None:
        raise LookoutError(f"image {path}: not a picture that can be read")
    rgb: Array = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return rgb


def fraction(text: str) -> float:
    """0..1, for argparse."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, not {text}")
    return value


def _write(path: Path, picture: Array) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
    except OSError as error:
        raise LookoutError(f"drawing {path}: {error.strerror}") from error


def _output(path: Path | None) -> contextlib.AbstractContextManager[TextIO]:
    if path is None:
        return contextlib.nullcontext(sys.stdout)
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise LookoutError(f"output {path}: {error.strerror}") from error
