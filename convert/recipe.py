"""models/<name>.recipe.toml, typed: where a model comes from, what it needs, how its ranges are found."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from agent import modelfile
from convert import ConvertError
from convert.int8 import ranges

SUFFIX = ".recipe.toml"


class Source(msgspec.Struct, frozen=True):
    """[source]: these, and the keys that the front end's Options have."""

    kind: str
    file: str  # of the archive, as its packager names it
    sha256: str  # of the archive
    origin: str  # a command that fetches it


class CardTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[card]: what the model needs and means; the build fills in the rest of the card."""

    task: Literal["detect", "classify", "segment", "pose", "embed", "reconstruct"]
    head: str
    labels: tuple[str, ...]
    input: modelfile.Input
    licence: str
    decode: dict[str, Any] = {}
    confidence: float = 0.4
    iou: float = 0.6


class Calibrate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[calibrate]: how the ranges are found."""

    rules: tuple[str, ...]  # candidates, by their names in convert.int8.ranges.RULES
    images: int = 64  # of the folder, after shuffling; the rest of it scores the candidates
    seed: int = 0


class Accept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[accept]: a model that lost more than this is refused."""

    budget: float = 0.02  # of mAP where labels are given, see convert.accuracy.tasks


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model."""

    name: str  # of the files made: <name>.tflite, <name>.json
    source: dict[str, Any]
    card: CardTable
    calibrate: Calibrate
    accept: Accept = Accept()

    def archive(self) -> Source:
        """[source] without the front end's own keys."""
        return msgspec.convert(self.source, Source)

    def options(self) -> dict[str, Any]:
        """The front end's own keys of [source]."""
        return {key: value for key, value in self.source.items() if key not in Source.__struct_fields__}


def load(path: Path) -> Recipe:
    """Read a recipe. Raises ConvertError with the file and the key."""
    try:
        recipe = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Recipe)
        recipe.archive()
    except OSError as error:
        raise ConvertError(f"recipe {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConvertError(f"recipe {path}: {error}") from error
    unknown = [rule for rule in recipe.calibrate.rules if rule not in ranges.RULES] or (
        [] if recipe.calibrate.rules else ["(none)"]
    )
    if unknown:
        raise ConvertError(f"recipe {path}: calibrate.rules: {unknown[0]!r}; there are: {', '.join(ranges.RULES)}")
    return recipe


def ranges_file(path: Path) -> Path:
    """<name>.ranges.json beside <name>.recipe.toml."""
    return path.with_name(path.name.removesuffix(SUFFIX) + ".ranges.json")
