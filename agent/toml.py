"""TOML text -> typed structs, with errors that name file, line and key.

`agent.toml:16: cameras.yard.fps must be float > 0.0, not 0`. tomllib tells no positions of good values, so the
text is indexed once: a key without a line of its own (an item of a list, an inline table) reports its nearest
ancestor's.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from agent.data import LookoutError, redacted


class ConfigError(LookoutError):
    """A config that cannot be used: file, line, key, reason."""


def table(text: str, path: Path) -> dict[str, Any]:
    """The raw tables of a TOML text. Raises ConfigError where it is not TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beside what is not TOML: a number too long, a list too deep
        where = re.search(r"\(at line (\d+), column \d+\)|\(at end of document\)", str(error))
        line = where[1] if where and where[1] else str(len(text.splitlines()))
        raise ConfigError(f"{path}:{line}: not TOML: {str(error).split(' (at')[0].lower()}") from error


class Reader:
    """Raw TOML tables -> structs, remembering where each key stands."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = _key_lines(text)

    def struct(self, kind: Any, table: Any, where: tuple[str, ...], also_known: Iterable[str] = ()) -> Any:
        """One table as a struct: unknown and missing keys first, then each value by its type."""
        if not isinstance(table, dict):
            raise self.error(where, f"must be a table, not {_shown(table)}")
        fields = {f.encode_name: f for f in msgspec.structs.fields(kind)}
        for key in table:
            if key not in fields:
                raise self.error((*where, key), _unknown(key, [*fields, *also_known]))
        for name, field in fields.items():
            if field.required and name not in table:
                raise self.error((*where, name), "is missing")
        values = {key: self.value(fields[key].type, value, (*where, key)) for key, value in table.items()}
        try:
            return kind(**values)
        except ValueError as error:  # a rule across keys, from __post_init__
            raise self.error(where, str(error)) from error

    def value(self, kind: Any, value: Any, where: tuple[str, ...]) -> Any:
        """One value of a type that msgspec knows; paths are taken from the file's folder."""
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
            return self.struct(kind, value, where)
        try:
            value = msgspec.convert(value, kind, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise self.error(where, _reason(str(error), kind, value)) from error
        if isinstance(value, Path):
            return value if value.is_absolute() else self.path.parent / value
        return value

    def error(self, where: tuple[str, ...], reason: str) -> ConfigError:
        """What is wrong with a key, at its line or its nearest ancestor's."""
        line = next((self.lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in self.lines), 1)
        gap = "" if not where or reason.startswith((":", "[")) else " "
        return ConfigError(f"{self.path}:{line}: {'.'.join(where)}{gap}{reason}")


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise ValueError("a path" if kind is Path else f"a {kind.__name__}")


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
    return f"is not a known key; {hint}"


_WORDS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
_WORDS |= {"array": "a list", "object": "a table"}


def _reason(message: str, kind: Any, value: Any) -> str:
    """msgspec's "Expected `int` >= 1, got ... - at `$[0]`" in the words of a config error: "[0] must be ..."."""
    text, _, place = message.partition(" - at `$")
    place = place.rstrip("`") if re.fullmatch(r"(\[\d+\])+`", place) else ""
    for index in re.findall(r"\d+", place):
        value = value[int(index)]
    told = _described(kind)
    if "matching regex" in text and told:
        text = told
    elif text.startswith("Invalid enum value"):
        text = "one of " + ", ".join(map(repr, typing.get_args(kind)))
    else:
        text = re.sub(r", got .*$", "", text.removeprefix("Expected ")).replace("`", "").replace(" | null", "")
        text = re.sub(r"^\w+", lambda word: _WORDS.get(word[0], word[0]), text)
        text = re.sub(r"(\d)\.0$", r"\1", text)
    return f"{place} must be {text}, not {_shown(value)}".lstrip()


def _described(kind: Any) -> str:
    """The first Meta(description=...) anywhere in a type: what its pattern means in words."""
    if isinstance(kind, msgspec.Meta):
        return kind.description or ""
    parts = (*getattr(kind, "__metadata__", ()), *typing.get_args(kind))
    return next(filter(None, map(_described, parts)), "")


def _shown(value: Any) -> str:
    text = redacted(repr(value)) if not isinstance(value, dict) else "a table"
    return text if len(text) <= 40 else text[:37] + "..."


_NAME = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_DOTTED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER = re.compile(rf"^\s*\[\[?\s*({_DOTTED})\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(rf"^\s*({_DOTTED})\s*=")


def _key_lines(text: str) -> dict[tuple[str, ...], int]:
    """Where each table and key stands: {("cameras", "yard", "fps"): 16}. tomllib does not tell."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = _split(header[1])
        path = table + (_split(key[1]) if key and not header else ())
        for n in range(1, len(path) + 1):
            lines.setdefault(path[:n], number)
        if header:
            lines[table] = number
    return lines


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", dotted))
