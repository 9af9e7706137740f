"""Float against int8, on pictures, through the agent's own letterbox and head: models that find boxes.

Without labels: how well the two agree. Detections from a confidence on are paired one to one, by label and overlap
(greatest first, at least 0.5): F1 of that pairing, and the mean overlap of the pairs. With labels: COCO's mAP, by
pycocotools. Both are told apart by cause, with the int8 boxes under float scores and the reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agent import boxes, plugins
from agent.cli.detect import read_image
from agent.data import Array, Detections
from agent.detect.letterbox import Letterbox, Placement
from agent.detect.model import Model
from agent.modelfile import Card, Tensor
from convert.accuracy import coco

CLEAR = 0.3  # confidence from which detections are compared
PAIRED = 0.5  # overlap from which two boxes are one object
_OF_BOXES = ("box", "size", "offset")  # roles that say where; all else says what, and how sure
EVERY = 0.001  # confidence from which mAP counts, by COCO's custom
MAP_IOU = 0.6  # NMS threshold for mAP
STRICT = 5.0  # points that F1, mean IoU and the like lose, a point of mAP; measured on four detectors


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a model said of one picture."""

    outputs: tuple[Array, ...]  # raw, in the order of the recording's tensors
    placement: Placement
    size: tuple[int, int]  # (width, height) px of the picture


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What a model said of many pictures."""

    card: Card
    tensors: tuple[Tensor, ...]
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well another model's detections match a reference's, over all pictures."""

    objects: int  # that the reference found
    f1: float  # of the pairing; 1 where neither found anything
    mean_iou: float  # of the pairs; 0 where there are none, 1 where there is nothing to pair

    @property
    def score(self) -> float:
        """One number to choose by: every pair counts as much as it overlaps."""
        return self.f1 * self.mean_iou

    @property
    def loss(self) -> float:
        """What a budget is compared with: a fifth of what the worse of the two lacks, see `convert.accuracy.tasks`."""
        return (1.0 - min(self.f1, self.mean_iou)) / STRICT

    def report(self) -> dict[str, float]:
        """The numbers that a reader wants, to four decimals."""
        return {"f1": round(self.f1, 4), "mean_iou": round(self.mean_iou, 4)}


def record(model: Model, paths: Sequence[Path], read: Callable[[Path], Array] = read_image) -> Recording:
    """Run a model over pictures. Raises LookoutError for one that cannot be read."""
    letterbox = Letterbox(model.card.input, model.backend.inputs[0])
    seen = []
    for path in paths:
        image = read(path)
        placement = letterbox.fill(model.backend.input, image)
        outputs = tuple(array.copy() for array in model.backend.run())
        seen.append(Seen(outputs, placement, (image.shape[1], image.shape[0])))
    return Recording(model.card, tuple(model.backend.outputs), tuple(seen))


def mixed(recording: Recording, donor: Recording, names: Collection[str]) -> Recording:
    """A recording with some outputs, by name, taken from another model's recording of the same pictures."""
    places = {tensor.name: i for i, tensor in enumerate(donor.tensors) if tensor.name in names}

    def pick(own: Sequence[Any], other: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(
            other[places[t.name]] if t.name in places else x for t, x in zip(recording.tensors, own, strict=True)
        )

    pairs = zip(recording.seen, donor.seen, strict=True)
    seen = tuple(replace(mine, outputs=pick(mine.outputs, theirs.outputs)) for mine, theirs in pairs)
    return Recording(recording.card, pick(recording.tensors, donor.tensors), seen)


def detections(recording: Recording, confidence: float, *, iou: float, multi_label: bool = False) -> list[Detections]:
    """What the agent's head reads from a recording: px of each picture, inside it, overlaps of one label removed."""
    module = plugins.get("detect/heads", recording.card.head)
    head = module.Head(recording.card, recording.tensors, confidence, multi_label)
    settled = []
    for seen in recording.seen:
        found = head.decode(seen.outputs)
        xyxy = boxes.clip_xyxy(seen.placement.to_crop(found.xyxy), seen.size)
        found = Detections(xyxy, found.confidence, found.class_id)[boxes.area(xyxy) > 0]
        settled.append(found[boxes.nms(found.xyxy, found.confidence, found.class_id, iou)])
    return settled


def paired(a: Detections, b: Detections) -> list[float]:
    """Overlaps of the pairs that two sets of detections form: same label, greatest overlap first, each row once."""
    overlap = boxes.iou(a.xyxy, b.xyxy) * (a.class_id[:, None] == b.class_id[None, :])
    pairs = []
    while overlap.size and overlap.max() >= PAIRED:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        pairs.append(float(overlap[row, column]))
        overlap[row, :] = overlap[:, column] = 0
    return pairs


def agreement(reference: Recording, other: Recording) -> Agreement:
    """Of two models on the same pictures, each by its own card."""
    a, b = (detections(r, CLEAR, iou=reference.card.iou) for r in (reference, other))
    return match(a, b)


def match(reference: Sequence[Detections], other: Sequence[Detections]) -> Agreement:
    """Of two lists of detections, an entry a picture."""
    overlaps = [iou for a, b in zip(reference, other, strict=True) for iou in paired(a, b)]
    objects = sum(map(len, reference))
    found = objects + sum(map(len, other))
    f1 = 2 * len(overlaps) / found if found else 1.0
    return Agreement(objects, f1, float(np.mean(overlaps)) if overlaps else float(not found))


def agreements(reference: Recording, other: Recording) -> dict[str, Any]:
    """Agreement of an int8 model with its float one, and by cause."""
    by_cause = {name: agreement(reference, r) for name, r in _by_cause(reference, other).items()}
    objects = by_cause["int8"].objects
    return {"confidence": CLEAR, "objects": objects} | {name: found.report() for name, found in by_cause.items()}


def accuracies(reference: Recording, other: Recording, truth: Sequence[Detections]) -> dict[str, Any]:
    """mAP of a float model, of its int8 one, and of that by cause."""
    recordings = {"float32": reference} | _by_cause(reference, other)
    return {name: accuracy(recording, truth) for name, recording in recordings.items()}


def _by_cause(reference: Recording, other: Recording) -> dict[str, Recording]:
    """The int8 model, and what is left of its error when boxes, or scores, are float again."""
    boxes_there = [output.name for output in reference.card.outputs if output.role in _OF_BOXES]
    scores = [output.name for output in reference.card.outputs if output.role not in _OF_BOXES]
    if not boxes_there or not scores:
        return {"int8": other}
    return {
        "int8": other,
        "int8 boxes, float scores": mixed(other, reference, scores),
        "float boxes, int8 scores": mixed(other, reference, boxes_there),
    }


def accuracy(recording: Recording, truth: Sequence[Detections]) -> dict[str, float]:
    """COCO's mAP over overlaps .5 to .95, and at .5, of a recording."""
    found = detections(recording, EVERY, iou=MAP_IOU, multi_label=True)
    return coco_map(found, truth, len(recording.card.labels))


def coco_map(found: Sequence[Detections], truth: Sequence[Detections], labels: int) -> dict[str, float]:
    """COCO's mAP of detections, both lists a picture an entry: {"map": .., "map50": ..}, each 0..1."""
    figures = coco.coco(found, truth, labels).figures
    return {"map": round(figures["map"], 4), "map50": round(figures["ap50"], 4)}
