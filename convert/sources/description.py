"""What a user says about a head that no front end knows, and what any front end says about labels.

A TOML file, given as --head FILE.toml; everything in it is the card's, but for `tensor`, the source's own name:

    head = "centernet"                 # a file of agent/detect/heads
    task = "detect"
    labels = ["person"]                # or --labels
    input = { range = [0.0, 255.0] }   # and size, color, resize, pad, align, as in the card
    source = "model.json"              # where the archive has several; the input's own name where it is not plain
    input_tensor = "image"
    decode = { score = "logit" }
    [[outputs]]
    tensor = "Identity_1"
    role = "heat"
    stride = 4

A file that only has `input` corrects what a front end thinks of the pictures, and leaves the rest to it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from agent import plugins
from agent.modelfile import Card, Input
from convert import ConvertError
from convert.sources import FloatModel, Request

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


_COUNTED = {("centernet", "heat"), ("yolo", "logit"), ("yolo", "score"), ("yolox", "logit")}  # last dimension: classes


class OutputOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output of the source."""

    tensor: str
    role: str
    stride: int | None = None

    @property
    def name(self) -> str:
        """Its name in the card."""
        return self.role if self.stride is None else f"{self.role}_{self.stride}"


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A head, described."""

    head: str = ""
    task: str = ""
    outputs: tuple[OutputOf, ...] = ()
    labels: tuple[str, ...] = ()
    input: dict[str, Any] = {}
    source: str = ""
    input_tensor: str = ""
    decode: dict[str, Any] = {}
    confidence: float = 0.4
    iou: float = 0.6
    licence: str = ""

    @property
    def logits(self) -> set[str]:
        """The outputs, by their names in the card, that are said to be values before a sigmoid."""
        roles = {"logit", "objectness"} | ({"heat"} if self.decode.get("score", "logit") == "logit" else set())
        return {o.name for o in self.outputs if o.role in roles}


def told(request: Request) -> Request:
    """A request whose description only tells of the input, with that in its place. Raises ConvertError."""
    if request.head is None or not request.head.endswith(".toml"):
        return request
    found = _parsed(request.head)
    if found.head or found.outputs:
        return request
    fields = {
        "head": None,
        "input": found.input | request.input,
        "labels": request.labels or found.labels,
        "task": request.task or found.task or None,
    }
    return msgspec.structs.replace(request, **fields)


def load(head: str | None) -> Description | None:
    """The file that `head` names; None where it names none. Raises ConvertError with file and key."""
    if head is None:
        return None
    if not head.endswith(".toml"):
        raise ConvertError(f"--head {head}: a head is found by itself, or described in a .toml file; name that file")
    found = _parsed(head)
    known = plugins.names("detect/heads")
    if found.head not in known:
        raise ConvertError(f"head {head}: head = {found.head!r}; there are: {', '.join(known)}")
    if not found.outputs or len({o.name for o in found.outputs}) != len(found.outputs):
        raise ConvertError(f"head {head}: outputs: each needs a tensor, and a role and stride that no other has")
    return found


def _parsed(head: str) -> Description:
    try:
        return msgspec.convert(tomllib.loads(Path(head).read_text("utf-8")), Description)
    except OSError as error:
        raise ConvertError(f"head {head}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConvertError(f"head {head}: {error}") from error


def card(found: Description, what: str, size: tuple[int, int], **more: Any) -> Card:
    """The described card, for an input of `size`; `more` replaces what the front end knows better. ConvertError."""
    fields = {"size": size} | found.input | more.pop("input", {})
    try:
        return msgspec.convert(
            {
                "task": found.task, "head": found.head, "labels": found.labels, "input": fields,
                "decode": found.decode, "confidence": found.confidence, "iou": found.iou, "licence": found.licence,
            } | {key: msgspec.to_builtins(value) for key, value in more.items()},
            Card,
        )  # fmt: skip
    except msgspec.ValidationError as error:
        raise ConvertError(f"{what}: its head's description: {error}") from error


def labels(given: tuple[str, ...], own: tuple[str, ...], classes: int, what: str) -> tuple[tuple[str, ...], list[str]]:
    """The labels of `classes` outputs: the user's, else the file's own, else COCO's for 80, else numbers; and notes.

    Raises ConvertError where the user gave more or fewer than the model has.
    """
    if given and len(given) != classes:
        raise ConvertError(f"{what}: --labels has {len(given)} names, the model tells {classes} classes apart")
    if given:
        return given, []
    if len(own) == classes:
        return own, []
    if classes == len(COCO):
        return COCO, [
            "labels: none in the file; 80 classes are taken for COCO's, in YOLO's order (--labels FILE says otherwise)"
        ]
    return tuple(f"class {i}" for i in range(classes)), [
        f"labels: none in the file; numbered 0 to {classes - 1} (--labels FILE)"
    ]


def labelled(found: FloatModel, what: str) -> FloatModel:
    """With labels for each class that a detector's grids tell apart, where its description names none."""
    card = found.card
    counts = {o.shape[-1] for o in card.outputs if (card.head, o.role) in _COUNTED}
    if card.labels or len(counts) != 1:
        return found
    names, notes = labels((), (), counts.pop(), what)
    return msgspec.structs.replace(
        found, card=msgspec.structs.replace(card, labels=names), notes=(*found.notes, *notes)
    )


def guessed(low: float, high: float, why: str) -> str:
    """The note on a range that nobody told: a wrong one costs more than int8 ever does."""
    return f"input: pixels stand for {low:g} to {high:g} ({why}); if it was trained otherwise, say so: --range=LOW,HIGH"


def corrected(card: Card, given: dict[str, Any]) -> Card:
    """A card that was there already, with what the user said of its input. Raises ConvertError."""
    known = msgspec.to_builtins(card.input)
    return msgspec.structs.replace(card, input=input_of(known.pop("size"), given, **known)) if given else card


def input_of(size: tuple[int, int], given: Any, **known: Any) -> Input:
    """The card's input: what the user said goes before what the front end knows. Raises ConvertError."""
    try:
        return msgspec.convert({"size": size} | known | given, Input)
    except msgspec.ValidationError as error:
        raise ConvertError(f"input: {error}") from error
