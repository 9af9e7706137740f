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

import ast
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from agent.data import NOT_JSON, LookoutError

CARD_NAME = "metadata.json"  # the name Ultralytics uses too, so one reader serves both
REPORT_NAME = "report.json"
_STAMP = (1980, 1, 1, 0, 0, 0)  # in every ZIP entry: the same card gives the same bytes
_IDENTIFIER = slice(4, 8)  # where a flatbuffer says what it is
_BACKGROUND = ("background", "empty", "???", "n/a", "unlabeled")  # a first line that some label files carry
_PIECE = 256 << 10  # bytes that are read at a time
_MAX_CARD = 4 << 20  # bytes; a card is text, more is an attack or a mistake
_OLD_CARD = "temp_meta.txt"  # where Ultralytics' first exporters wrote the same facts, as a Python literal
_MAX_OLD_CARD = 64 << 10  # bytes


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
    layout: Literal["NHWC", "NCHW"] = "NHWC"  # NCHW: red, green and blue planes, as PyTorch has them


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

    task: Literal["detect", "classify", "segment", "pose", "embed", "reconstruct"]
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
    metadata: dict[str, Any] | None = None  # what Ultralytics wrote in place of a card
    labels: tuple[str, ...] = ()  # of a text in the ZIP whose name speaks of labels, as TensorFlow's own files have it


def read(path: Path) -> ModelFile:
    """Read and verify a model file without loading it into an interpreter.

    The card comes from the ZIP inside, else from the sidecar <name>.json; card None means a file of another maker.
    Raises ModelError: missing, not TFLite, a card that is not one, or bytes that are not the card's.
    """
    try:
        with path.open("rb") as file:
            if file.read(_IDENTIFIER.stop)[_IDENTIFIER] != b"TFL3":
                raise ModelError(
                    f"model {path}: not a TFLite file (no TFL3 mark in its first 8 bytes); convert it first"
                )
            entries, length = _unzip(path, file)
            digest = hashlib.sha256()
            for piece in _pieces(file, length):
                digest.update(piece)
    except OSError as error:
        raise ModelError(f"model {path}: {error.strerror}") from error
    sha256 = digest.hexdigest()
    card, metadata = _card(path, entries)
    if card and card.sha256 not in ("", sha256):
        raise ModelError(
            f"model {path}: sha256 is {sha256[:8]}.., its card says {card.sha256[:8]}..;"
            " the file is cut short or was changed, fetch or convert it again"
        )
    try:
        report = msgspec.json.decode(entries[REPORT_NAME], type=dict[str, Any]) if REPORT_NAME in entries else None
    except NOT_JSON as error:
        raise ModelError(f"model {path}, {REPORT_NAME}: {error}") from error
    texts = [text for name, text in entries.items() if _is_labels(name)]
    labels = _labels(texts[0].decode("utf-8", "replace")) if len(texts) == 1 else ()
    return ModelFile(path, sha256, card, report, metadata, labels)


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


def read_labels(model: Path, labels_file: Path | None) -> tuple[str, ...]:
    """Labels of a file of another maker: from `labels_file`, else from <model>.labels.txt if there is one.

    One a line, "0  person" or "person". Raises ModelError.
    """
    path = labels_file or model.with_suffix(".labels.txt")
    if labels_file is None and not path.exists():
        return ()
    try:
        return _labels(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"labels {path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error


def fit_labels(labels: tuple[str, ...], count: int | None) -> tuple[str, ...]:
    """Labels for `count` classes: without a first line that names the background, or with one, where that fits.

    None: any number of classes, none of them the background.
    """
    named = bool(labels) and labels[0].lower() in _BACKGROUND
    if named and count != len(labels):
        return labels[1:]
    return ("background", *labels) if labels and not named and count == len(labels) + 1 else labels


def _is_labels(name: str) -> bool:
    return "label" in name.lower() and name.endswith(".txt")


def _labels(text: str) -> tuple[str, ...]:
    return tuple(re.sub(r"^\d+\s*[:,]?\s+", "", line.strip()) for line in text.splitlines())


def _unzip(path: Path, file: BinaryIO) -> tuple[dict[str, bytes], int]:
    """Entries of the appended ZIP, and the length of the flatbuffer before it."""
    size = file.seek(0, os.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            wanted = [i for i in infos if i.filename in (CARD_NAME, REPORT_NAME, _OLD_CARD) or _is_labels(i.filename)]
            is_too_large = any(i.file_size > _MAX_CARD for i in wanted)
            entries = {i.filename: archive.read(i) for i in wanted if not is_too_large}
            length = max(0, min((i.header_offset for i in infos), default=size))  # a crafted one may be negative
    except Exception as error:  # of damaged bytes zipfile raises many kinds
        before = b""  # the end of a piece may hold half of the name
        for piece in _pieces(file, size):
            if CARD_NAME.encode() in before + piece:  # else it is a file of another maker
                raise ModelError(
                    f"model {path}: the card in it cannot be read; the file was changed, fetch or convert it again"
                ) from error
            before = piece[-len(CARD_NAME) :]
        return {}, size
    if is_too_large:
        raise ModelError(f"model {path}: its metadata is larger than {_MAX_CARD >> 20} MB; refused")
    return entries, length


def _pieces(file: BinaryIO, length: int) -> Iterator[bytes]:
    """The first `length` bytes: a large model is never in memory as a whole."""
    file.seek(0)
    while piece := file.read(min(_PIECE, length)):
        yield piece
        length -= len(piece)


def _card(path: Path, entries: dict[str, bytes]) -> tuple[Card | None, dict[str, Any] | None]:
    """The card, from the ZIP or else the sidecar, or what Ultralytics wrote instead; a card goes first."""
    metadata = _parse_old(entries[_OLD_CARD]) if _OLD_CARD in entries else None
    sidecar = path.with_suffix(".json")
    if CARD_NAME in entries:
        inside = _parse(entries[CARD_NAME], f"model {path}, {CARD_NAME}")
        if isinstance(inside, Card):
            return inside, None
        metadata = inside
    if sidecar.exists():
        beside = _parse(sidecar.read_bytes(), f"model card {sidecar}")
        if isinstance(beside, Card):
            return beside, None
        metadata = metadata or beside
    return None, metadata


def _parse(text: bytes, where: str) -> Card | dict[str, Any]:
    """A card, or Ultralytics' metadata as they are: names, task, imgsz, ... and no head."""
    try:
        raw = msgspec.json.decode(text)
        if isinstance(raw, dict) and "names" in raw and "labels" not in raw:  # they may write a "head" as well
            return raw
        return msgspec.convert(raw, Card)
    except NOT_JSON as error:
        raise ModelError(f"{where}: {error}") from error


def _parse_old(text: bytes) -> dict[str, Any] | None:
    """The dict of an old Ultralytics file; None where there is none. Literals only: nothing in it is run."""
    try:
        raw = ast.literal_eval(text.decode("utf-8")) if len(text) <= _MAX_OLD_CARD else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return raw if isinstance(raw, dict) and "names" in raw else None
