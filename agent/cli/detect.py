"""Try a model on pictures: one JSON line an image, and pictures with boxes.

    {"image": "bus.jpg", "size": [810, 1080],
     "detections": [{"xyxy": [x1, y1, x2, y2], "label": "person", "confidence": 0.91, "class_id": 0}]}

Boxes are px of the image. A picture that cannot be read is told on stderr, the others are still done, and the
exit code is 2.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any, TextIO

import cv2
import msgspec

from agent import config, overlay
from agent.data import Array, Detections, Frame, LookoutError
from agent.detect.detector import Detector
from agent.detect.model import Model


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--model", type=Path, default=config.shipped(config.DEFAULT_MODEL), help="a .tflite file")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels of a model that carries none, one a line")
    parser.add_argument("--confidence", type=fraction, help="report from this on, 0..1 (default: the model's own)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines there instead of stdout")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="write each picture with its boxes there")


def run(args: argparse.Namespace) -> int:
    detector = Detector(Model(args.model, labels_file=args.labels), confidence=args.confidence)
    failed = 0
    with _output(args.json) as out:
        for path in args.images:
            try:
                image = read_image(path)
                detections = detector.detect(Frame(image, 0, 0.0))
                if args.draw:
                    _draw(args.draw / f"{path.stem}.jpg", image, detections, detector.model.card.labels)
            except LookoutError as error:
                print(f"lookout: {error}; going on with the others", file=sys.stderr)
                failed += 1
                continue
            out.write(line(path, image, detections, detector.model.card.labels) + "\n")
    return 2 if failed else 0


def line(path: Path, image: Array, detections: Detections, labels: tuple[str, ...]) -> str:
    """One image as JSON; px to a tenth, confidence to four decimals."""
    rows: list[dict[str, Any]] = [
        {
            "xyxy": [round(float(v), 1) for v in xyxy],
            "label": labels[class_id],
            "confidence": round(float(confidence), 4),
            "class_id": int(class_id),
        }
        for xyxy, confidence, class_id in zip(detections.xyxy, detections.confidence, detections.class_id, strict=True)
    ]
    size = [image.shape[1], image.shape[0]]
    return msgspec.json.encode({"image": str(path), "size": size, "detections": rows}).decode()


def read_image(path: Path) -> Array:
    """(H, W, 3) uint8 RGB. Raises LookoutError: missing or not a picture."""
    if not path.is_file():
        raise LookoutError(f"image {path}: no such file")
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
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


def _draw(path: Path, image: Array, detections: Detections, labels: tuple[str, ...]) -> None:
    picture = cv2.cvtColor(overlay.draw(image, detections, labels), cv2.COLOR_RGB2BGR)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    except OSError as error:
        raise LookoutError(f"drawing {path}: {error.strerror}") from error


def _output(path: Path | None) -> contextlib.AbstractContextManager[TextIO]:
    if path is None:
        return contextlib.nullcontext(sys.stdout)
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise LookoutError(f"output {path}: {error.strerror}") from error
