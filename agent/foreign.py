"""Cards for model files of other makers, from what is in them: whoever has a file needs no converter to try it.

    known by                                        task                    head
    metadata.json of Ultralytics inside             as it says              ultralytics, classify
    boxes, classes, scores, count                   detect                  ssd_postprocess
    one output (1, C) or (1, 1, 1, C)               classify                classify
    one output (1, h, w, C), or (1, h, w) integers  segment                 segment

Where a shape has two readings (a float vector may be scores or an embedding; three channels at the input's size may be
labels or a picture), labels decide; without them the file is refused, and its user writes the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from msgspec.structs import replace

from agent.modelfile import Card, Input, ModelError, ModelFile, Output, Tensor, fit_labels

_NAMELESS = 1000  # labels "class 0", "class 1", ... where nobody says how many there are
_MASKS = ("int64", "int32", "uint8", "int8")
_FRACTION = 2.0  # boxes in fractions of the picture reach a little beyond 1; in px far beyond


def recognise(file: ModelFile, inputs: Sequence[Tensor], outputs: Sequence[Tensor], labels: tuple[str, ...]) -> Card:
    """A card for a file without one. `labels` as read from a file, () for none.

    Raises ModelError: not known, or labels that are not as many as the classes.
    """
    labels = labels or file.labels
    if len(inputs) == 1:
        fed = _input(inputs[0])
        for known in (_ultralytics, _postprocess, _classifier, _segmenter):
            card = known(file, fed, outputs, labels) if fed else None
            if card:
                return card
    found = ", ".join(f"{t.name} {list(t.shape)} {t.dtype}" for t in outputs)
    raise ModelError(
        f"model {file.path}: no card in it or beside it, and its outputs are not known ({found});"
        f" describe it in {file.path.with_suffix('.json').name}, or give its labels if it is a classifier"
    )


def _input(tensor: Tensor) -> Input | None:
    """What a picture-shaped input wants; None for any other."""
    layout: Literal["NHWC", "NCHW"]
    if len(tensor.shape) != 4 or tensor.shape[0] != 1 or 3 not in (tensor.shape[3], tensor.shape[1]):
        return None
    if tensor.shape[3] == 3:
        layout, (height, width) = "NHWC", tensor.shape[1:3]
    else:
        layout, (height, width) = "NCHW", tensor.shape[2:4]
    limits = _range(tensor) if tensor.scale else (0.0, 255.0)
    return Input(size=(width, height), range=limits, resize="stretch", layout=layout)


def _range(tensor: Tensor) -> tuple[float, float]:
    """The real values that an 8-bit tensor's least and greatest stand for."""
    low = (0 if tensor.dtype == "uint8" else -128) - tensor.zero_point
    return low * tensor.scale, (low + 255) * tensor.scale


def _ultralytics(file: ModelFile, fed: Input, outputs: Sequence[Tensor], _: tuple[str, ...]) -> Card | None:
    """Their exports: boxes and scores in one tensor, boxes in fractions of the picture (in px in some naive ones)."""
    if file.metadata is None:
        return None
    meta: dict[str, Any] = file.metadata
    task, flat = meta.get("task") or "detect", [t for t in outputs if len(t.shape) == 3 and t.shape[0] == 1]
    card = Card(
        task="detect",
        head="ultralytics",
        labels=_names(file, meta["names"]),
        input=Input(size=fed.size, range=(0.0, 1.0), layout=fed.layout),
        sha256=file.sha256,
        source={key: meta[key] for key in ("description", "author", "version", "date") if key in meta},
        licence=str(meta.get("license", "")),
    )
    if task == "classify" and len(outputs) == 1:
        fed = replace(card.input, resize="stretch")
        scores = (_described(outputs[0], "score"),)
        return replace(card, task="classify", head="classify", outputs=scores, input=fed)
    if task not in ("detect", "segment", "pose") or len(flat) != 1:
        raise ModelError(f"model {file.path}: an Ultralytics file for {task!r}, which no head here reads")
    described = [_described(flat[0], "predictions")]
    described += [_described(t, "prototypes") for t in outputs if task == "segment" and len(t.shape) == 4]
    return replace(card, task=task, outputs=tuple(described), decode=_columns(meta, task, flat[0], len(card.labels)))


def _columns(meta: dict[str, Any], task: str, tensor: Tensor, labels: int) -> dict[str, Any]:
    """decode of head ultralytics: what the channels of their one tensor are."""
    decode: dict[str, Any] = {"boxes": "px" if tensor.scale and _range(tensor)[1] > _FRACTION else "fraction"}
    if meta.get("end2end") or tensor.shape[2] == 6:
        decode["suppressed"] = True
    elif tensor.shape[1] != 4 + labels and tensor.shape[2] == 5 + labels:
        decode["objectness"] = True  # YOLOv5
    if task == "pose":
        decode["keypoints"] = list(meta.get("kpt_shape") or (17, 3))
    return decode


def _names(file: ModelFile, names: Any) -> tuple[str, ...]:
    """["person", ...] or {"0": "person", ...}, in the order of the class ids. Raises ModelError for neither."""
    try:
        ordered = [names[key] for key in sorted(names, key=int)] if isinstance(names, dict) else list(names)
        return tuple(map(str, ordered))
    except (TypeError, ValueError):
        raise ModelError(f"model {file.path}: the names in its metadata are not a list or a table of labels") from None


def _postprocess(file: ModelFile, fed: Input, outputs: Sequence[Tensor], labels: tuple[str, ...]) -> Card | None:
    """Graphs that end in TFLite_Detection_PostProcess."""
    if sorted(len(t.shape) for t in outputs) != [1, 2, 2, 3]:
        return None
    return Card("detect", "ssd_postprocess", fit_labels(labels, None) or _numbered(_NAMELESS), fed, sha256=file.sha256)


def _classifier(file: ModelFile, fed: Input, outputs: Sequence[Tensor], labels: tuple[str, ...]) -> Card | None:
    shape = outputs[0].shape
    if len(outputs) != 1 or len(shape) not in (2, 4) or shape[-1] < 2 or shape[-1] != np.prod(shape):
        return None
    is_share = bool(outputs[0].scale) and _range(outputs[0])[0] >= 0 and _range(outputs[0])[1] <= 1.01
    if not labels and not is_share:
        return None
    described = _described(outputs[0], "logit" if outputs[0].scale and not is_share else "score")
    return Card(
        task="classify",
        head="classify",
        labels=_counted(file, labels, shape[-1]),
        input=fed,
        outputs=(described,),
        decode={} if outputs[0].scale else {"activation": "auto"},
        sha256=file.sha256,
    )


def _segmenter(file: ModelFile, fed: Input, outputs: Sequence[Tensor], labels: tuple[str, ...]) -> Card | None:
    shape = outputs[0].shape
    if len(outputs) != 1 or len(shape) not in (3, 4) or shape[0] != 1:
        return None
    is_mask = len(shape) == 3 or shape[3] == 1
    if is_mask and outputs[0].dtype not in _MASKS:
        return None
    if not is_mask and not labels and (shape[2], shape[1], shape[3]) == (*fed.size, 3):
        return None  # it may as well be a picture
    known = (labels or _numbered(_NAMELESS)) if is_mask else _counted(file, labels, shape[3])
    described = _described(outputs[0], "mask" if is_mask else "logit")
    return Card("segment", "segment", known, fed, (described,), sha256=file.sha256)


def _described(tensor: Tensor, role: str) -> Output:
    return Output(tensor.name, role, tensor.shape)


def _counted(file: ModelFile, labels: tuple[str, ...], count: int) -> tuple[str, ...]:
    """As many labels as classes, numbered where there are none."""
    fitted = fit_labels(labels, count) or _numbered(count)
    if len(fitted) != count:
        raise ModelError(f"model {file.path}: tells {count} classes apart, but {len(labels)} labels are given")
    return fitted


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"class {i}" for i in range(count))
