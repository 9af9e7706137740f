"""A front end is a file here: somebody's trained model in, float TFLite out, with what is known of it.

`recognise` says what a file is, from its content; `read` makes the float model and a card for it: NHWC, batch 1,
static shapes, the input called "image", the outputs under the names that the card gives them, cut where int8 would
ruin them. A kind's module has `float_model(request) -> FloatModel`. Frameworks that it needs run in a limited child
(convert.process.sandbox): the parent imports none of them. Every refusal is a ConvertError of one line.

A recipe's front end (`get`) has besides `Options`, the keys of [source] beside `kind`, `file` and `sha256`, and
`read(options, archive, size) -> Cut`: the graph cut at the tensors that the options name, for a card of the recipe's.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

import msgspec

from agent.data import Array
from agent.modelfile import Card
from convert import ConvertError

RECIPES = ("tfjs",)  # kinds that a recipe may name
TURNED = "_channels_last"  # ends the names of outputs that were given channels last before the tool saw them


class Request(msgspec.Struct, frozen=True):
    """What the user gave."""

    path: Path
    size: tuple[int, int] | None = None  # (width, height) px, where the model leaves it open
    task: str | None = None
    head: str | None = None  # a head's name, or a TOML file with head, outputs, decode (convert.sources.description)
    labels: tuple[str, ...] = ()
    trust: bool = False  # the user knows who made the file: its code may be run
    input: dict[str, Any] = {}  # of the card's input, what the user knows better: range, color, resize, pad, align


class FloatModel(msgspec.Struct, frozen=True):
    """What a front end hands on."""

    model: bytes  # float TFLite; with `ready`, the user's own int8 file without what was appended to it
    card: Card  # all but quant and sha256; licence "" where nobody said
    constants: dict[str, Array] = {}  # constants of the graph that somebody asked for, e.g. "anchors"
    tools: dict[str, str] = {}  # what made it: package -> version
    notes: tuple[str, ...] = ()  # lines that the user should read
    ready: bool = False  # int8 already: not to be quantised again


class Cut(msgspec.Struct, frozen=True):
    """What a front end makes of a recipe's archive; the card is the recipe's."""

    model: bytes  # float TFLite
    constants: dict[str, Array]  # constants of the graph that the options asked for, e.g. "anchors"
    tools: dict[str, str]  # what made it: package -> version


class Source(Protocol):
    """What a recipe's front end has."""

    Options: type[Any]

    def read(self, options: Any, archive: Path, size: tuple[int, int]) -> Cut:
        """The float model of an archive or folder, for an input of `size` (width, height). Raises ConvertError."""
        ...


def recognise(path: Path) -> str:
    """Which front end reads a file or folder: "keras", "onnx", ... Raises ConvertError, one line, for anything else."""
    from convert.sources import recognition  # noqa: PLC0415  what stands here first is what they are made of

    return recognition.kind(path)


def read(request: Request) -> FloatModel:
    """The float model of what the user gave. Raises ConvertError."""
    from convert.sources import description  # noqa: PLC0415

    request = description.told(request)
    module: Any = importlib.import_module(f"convert.sources.{recognise(request.path)}")
    model: FloatModel = module.float_model(request)
    return description.labelled(model, f"model {request.path}")


def get(kind: str) -> Source:
    """The front end of a recipe's kind. Raises ConvertError, naming the kinds there are."""
    if kind not in RECIPES:
        raise ConvertError(f"source kind {kind!r} is not known; there are: {', '.join(RECIPES)}")
    module: Any = importlib.import_module(f"convert.sources.{kind}")
    source: Source = module
    return source
