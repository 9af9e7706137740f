"""The contract inside a model file: what a .tflite needs fed, and what its outputs mean.

A Lookout model is a flatbuffer with a ZIP appended (plain interpreters ignore it, `unzip -l` lists it):

    ┌──────────────────┬───────────────────────────────────┐
    │ flatbuffer "TFL3"│ ZIP: metadata.json  report.json    │
    └──────────────────┴───────────────────────────────────┘
      sha256 of this part stands in metadata.json

The same bytes of metadata.json lie beside it as <name>.json, the copy to trust where another tool
rewrote the file (and lost the ZIP). Scales and zero points are not repeated: the tensors hold them.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import Path
from typing import Any, Literal

import msgspec

from agent.data import LookoutError

CARD_NAME = "metadata.json"  # the name Ultralytics uses too, so one reader serves both
REPORT_NAME = "report.json"
_STAMP = (1980, 1, 1, 0, 0, 0)  # in every ZIP entry: the same card gives the same bytes
_IDENTIFIER = slice(4, 8)  # where a flatbuffer says what it is
_BACKGROUND = ("background", "empty", "???", "n/a", "unlabeled")  # a first line that some label files carry
_NAMELESS = 1000  # labels "class 0", "class 1", ... for a file of another maker that comes without
_MAX_CARD = 4 << 20  # bytes; a card is text, more is an attack or a mistake


class ModelError(LookoutError):
    """A model file that cannot be used, and why."""


class Tensor(msgspec.Struct, frozen=True):
    """One input or output as the interpreter has it."""

    name: str  # the signature's name where there is one
    shape: tuple[int, ...]
    dtype: str  # numpy's name: "int8", "uint8", "float32"
    scale: float = 0.0  # real = (q - zero_point) * scale; 0 for float tensors
    zero_point: int = 0


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model wants to be fed."""

    size: tuple[int, int]  # (width, height) px
    color: Literal["RGB", "BGR"] = "RGB"
    range: tuple[float, float] = (0.0, 255.0)  # real values that pixel 0 and pixel 255 stand for
    resize: Literal["letterbox", "stretch"] = "letterbox"
    pad: int = 114  # grey level around a letterboxed picture
    align: Literal["center", "top-left"] = "center"
    layout: Literal["NHWC"] = "NHWC"


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output tensor: found by name, then by shape, never by index."""

    name: str
    role: str  # what the head calls it: "box", "score", ...
    shape: tuple[int, ...]
    stride: int | None = None  # px of the input per cell, for heads with grids


class Quant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the weights and activations were made small."""

    scheme: Literal["int8", "uint8", "float32", "unknown"] = "unknown"
    ranges: str = ""  # the rule that chose the activation ranges
    calibration: dict[str, Any] = {}  # images: how many, sha256: of their list
    float_ops: tuple[str, ...] = ()  # operators left in float on purpose


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """metadata.json: everything about a model that its tensors do not say."""

    task: Literal["detect", "classify", "segment", "pose", "embed"]
    head: str  # file in agent/detect/heads/ that reads the outputs
    labels: tuple[str, ...]
    input: Input
    outputs: tuple[Output, ...] = ()
    format: Literal[1] = 1
    decode: dict[str, Any] = {}  # the head's own numbers: anchors, scales, columns
    confidence: float = 0.4  # recommended threshold
    iou: float = 0.6  # NMS threshold
    sha256: str = ""  # of the flatbuffer; may be empty in a sidecar that a user wrote
    quant: Quant = Quant()
    source: dict[str, Any] = {}  # file, sha256, tools and their versions
    licence: str = ""


class ModelFile(msgspec.Struct, frozen=True):
    """A model file as read: its flatbuffer's checksum, and its card if it has one."""

    path: Path
    sha256: str  # of the flatbuffer without the ZIP
    card: Card | None
    report: dict[str, Any] | None = None


def read(path: Path) -> ModelFile:
    """Read and verify a model file without loading it into an interpreter.

    The card comes from the ZIP inside, else from the sidecar <name>.json; card None means a file of another maker.
    Raises ModelError: missing, not TFLite, a card that is not one, or bytes that are not the card's.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"model {path}: {error.strerror}") from error
    if data[_IDENTIFIER] != b"TFL3":
        raise ModelError(f"model {path}: not a TFLite file (no TFL3 mark in its first 8 bytes); convert it first")
    entries, length = _unzip(path, data)
    sha256 = hashlib.sha256(memoryview(data)[:length]).hexdigest()
    sidecar = path.with_suffix(".json")
    if CARD_NAME in entries:
        card = _parse(entries[CARD_NAME], f"model {path}, {CARD_NAME}")
    elif sidecar.exists():
        card = _parse(sidecar.read_bytes(), f"model card {sidecar}")
    else:
        return ModelFile(path, sha256, None)
    if card.sha256 not in ("", sha256):
        raise ModelError(
            f"model {path}: sha256 is {sha256[:8]}.., its card says {card.sha256[:8]}..;"
            " the file is cut short or was changed, fetch or convert it again"
        )
    report = msgspec.json.decode(entries[REPORT_NAME], type=dict[str, Any]) if REPORT_NAME in entries else None
    return ModelFile(path, sha256, card, report)


def pack(flatbuffer: bytes, card: Card, report: dict[str, Any] | None = None) -> tuple[bytes, bytes]:
    """The bytes of a model file and of its sidecar; the card's sha256 is set here. Same input, same bytes."""
    sha256 = hashlib.sha256(flatbuffer).hexdigest()
    text = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(card, sha256=sha256)), indent=1) + b"\n"
    buffer = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(CARD_NAME, _STAMP), text)
        if report is not None:
            archive.writestr(
                zipfile.ZipInfo(REPORT_NAME, _STAMP), msgspec.json.format(msgspec.json.encode(report), indent=1)
            )
    return buffer.getvalue(), text


def recognise(file: ModelFile, inputs: list[Tensor], outputs: list[Tensor], labels: tuple[str, ...]) -> Card:
    """A card for a file of another maker, from what its tensors look like.

    Known: graphs that end in TFLite_Detection_PostProcess. Raises ModelError for anything else.
    """
    shapes = sorted(len(t.shape) for t in outputs)
    if len(inputs) != 1 or shapes != [1, 2, 2, 3]:
        found = ", ".join(f"{t.name} {list(t.shape)} {t.dtype}" for t in outputs)
        raise ModelError(
            f"model {file.path}: no card in it or beside it, and its outputs are not known ({found});"
            f" describe it in {file.path.with_suffix('.json').name}"
        )
    height, width = inputs[0].shape[1:3]
    limits = (0.0, 255.0)
    if inputs[0].scale:  # an 8-bit input: its scale says which real values the pixels stand for
        low = (0 if inputs[0].dtype == "uint8" else -128) - inputs[0].zero_point
        limits = (low * inputs[0].scale, (low + 255) * inputs[0].scale)
    return Card(
        task="detect",
        head="ssd_postprocess",
        labels=labels or tuple(f"class {i}" for i in range(_NAMELESS)),
        input=Input(size=(width, height), range=limits, resize="stretch"),
        sha256=file.sha256,
    )


def read_labels(model: Path, labels_file: Path | None) -> tuple[str, ...]:
    """Labels of a file of another maker: from `labels_file`, else from <model>.labels.txt if there is one.

    One a line, "0  person" or "person"; a first line that names the background is left out. Raises ModelError.
    """
    path = labels_file or model.with_suffix(".labels.txt")
    if labels_file is None and not path.exists():
        return ()
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"labels {path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    labels = [re.sub(r"^\d+\s*[:,]?\s+", "", line.strip()) for line in lines]
    return tuple(labels[1:] if labels and labels[0].lower() in _BACKGROUND else labels)


def _unzip(path: Path, data: bytes) -> tuple[dict[str, bytes], int]:
    """Entries of the appended ZIP, and the length of the flatbuffer before it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            wanted = [i for i in infos if i.filename in (CARD_NAME, REPORT_NAME)]
            if any(i.file_size > _MAX_CARD for i in wanted):
                raise ModelError(f"model {path}: its metadata is larger than {_MAX_CARD >> 20} MB; refused")
            length = min((i.header_offset for i in infos), default=len(data))
            return {i.filename: archive.read(i) for i in wanted}, length
    except zipfile.BadZipFile:
        return {}, len(data)


def _parse(text: bytes, where: str) -> Card:
    try:
        raw = msgspec.json.decode(text)
        if isinstance(raw, dict) and "head" not in raw and "names" in raw:
            raise ModelError(f"{where}: written by Ultralytics; export ONNX and convert it with `python -m convert`")
        return msgspec.convert(raw, Card)
    except msgspec.MsgspecError as error:
        raise ModelError(f"{where}: {error}") from error
