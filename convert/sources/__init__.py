"""A front end is a file here, named by `kind` in a recipe's [source]: it makes a float TFLite of somebody's model.

Its module has `Options`, the keys of [source] beside `kind`, `file` and `sha256`, and `read(options, archive, size)`,
which cuts the graph at the tensors that the options name and answers with a FloatModel: NHWC, batch 1, static shapes,
input and outputs under their contract names. Frameworks that it needs run in a child process: the parent never
imports them. It raises ConvertError, one line, for a file that is not what the options say.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

import msgspec

from agent.data import Array
from convert import ConvertError


class FloatModel(msgspec.Struct, frozen=True):
    """What a front end hands on."""

    model: bytes  # float TFLite
    constants: dict[str, Array]  # constants of the graph that the options asked for, e.g. "anchors"
    tools: dict[str, str]  # what made it: package -> version


class Source(Protocol):
    """What a front end's module has."""

    Options: type[Any]

    def read(self, options: Any, archive: Path, size: tuple[int, int]) -> FloatModel:
        """The float model of an archive or folder, for an input of `size` (width, height). Raises ConvertError."""
        ...


def get(kind: str) -> Source:
    """The front end of a kind. Raises ConvertError, naming the kinds there are."""
    kinds = sorted(p.stem for p in Path(__file__).parent.glob("[a-z]*.py"))
    if kind not in kinds:
        raise ConvertError(f"source kind {kind!r} is not known; there are: {', '.join(kinds)}")
    module: Any = importlib.import_module(f"convert.sources.{kind}")
    source: Source = module
    return source
