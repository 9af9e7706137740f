"""Zones, lines and masks drawn on the page -> the text of agent.toml with its comments, saved or rolled back.

drawn ──▶ edited text ──▶ config.parse ──▶ written ──▶ the agent takes it over ──▶ done
                                ╰── no: nothing is written         ╰── no: the old text is written back
"""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tomlkit
import tomlkit.exceptions
from msgspec import Meta, Struct

from agent import config
from agent.areas import MAX_POINTS, Anchor, Point
from agent.data import NOT_JSON, LookoutError, redacted

_DRAWN = ("motion_masks", "privacy_masks", "zones", "lines")  # keys of a camera
_MOST = 64  # zones, lines or masks of a camera
_DECIMALS = 4  # of a point: a tenth of a px in a picture of 1000
Points = Annotated[tuple[Point, ...], Meta(min_length=2, max_length=MAX_POINTS)]
_Masks = Annotated[tuple[Points, ...], Meta(max_length=_MOST)]
Reload = Callable[[], str]  # takes the file over; "" or why not


class DrawingError(LookoutError):
    """What cannot be drawn or saved, and why."""


class Area(Struct, frozen=True, forbid_unknown_fields=True):
    """A zone or a line."""

    points: Points
    labels: Annotated[tuple[str, ...], Meta(max_length=256)] = ()
    anchor: Anchor = "bottom_center"
    was: str = ""  # its name in the config; "": it is new


class Drawn(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is drawn on one camera's picture."""

    camera: config.Id
    base: str  # version() of the text that it was drawn over
    zones: Annotated[dict[config.Id, Area], Meta(max_length=_MOST)] = {}
    lines: Annotated[dict[config.Id, Area], Meta(max_length=_MOST)] = {}
    motion_masks: _Masks = ()
    privacy_masks: _Masks = ()


def version(text: str) -> str:
    """Names a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def read(path: Path) -> str:
    """The config as it stands. Raises DrawingError."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DrawingError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def diff(before: str, after: str) -> str:
    """What would change, as `diff -u` tells it, without credentials; "" for nothing."""
    old, new = (redacted(text).splitlines(keepends=True) for text in (before, after))
    return "".join(list(difflib.unified_diff(old, new, n=2))[2:])


def edited(text: str, drawn: Drawn, path: Path) -> str:
    """The config's text with these zones, lines and masks in place of the camera's; checked by the config's reader.

    Raises DrawingError (not this text any more, or a layout that cannot be edited by machine) or ConfigError.
    """
    if drawn.base != version(text):
        raise DrawingError(f"{path} has changed since this was drawn; load the page again")
    try:
        document = tomlkit.parse(text)
        wanted = tomllib.loads(text)
        for cameras in (document.get("cameras", {}), wanted.get("cameras", {})):
            if drawn.camera not in cameras:
                raise DrawingError(f"{path}: there is no camera {drawn.camera!r}")
            _draw(cameras[drawn.camera], drawn)
        after = tomlkit.dumps(document)
        if tomllib.loads(after) != wanted:
            raise DrawingError(f"{path}: its layout cannot be edited by machine; edit it by hand")
    except (tomlkit.exceptions.TOMLKitError, tomllib.TOMLDecodeError) as error:
        raise DrawingError(f"{path}: cannot be edited by machine: {error}") from error
    config.parse(after, path)
    return after


def excerpt(text: str, camera: str) -> str:
    """What a config's text says about a camera's drawings, for a person to put where the agent may not write."""
    section = tomllib.loads(text)["cameras"][camera]
    return tomlkit.dumps({"cameras": {camera: {key: section[key] for key in _DRAWN if key in section}}})


def is_writable(path: Path) -> bool:
    """Whether save() may replace the file, as far as can be told without trying."""
    target = path.resolve()
    try:
        is_ours = os.geteuid() in (0, target.stat().st_uid)
    except OSError:
        return False
    return is_ours and os.access(target.parent, os.W_OK | os.X_OK)


def save(path: Path, before: str, after: str, reload: Reload) -> None:
    """Write and take over. Raises DrawingError: nothing has changed, the file is as it was."""
    _replace(path, after)
    if refusal := reload():
        _replace(path, before)
        raise DrawingError(f"{refusal}; going on as before, {path.name} is as it was")


def _draw(camera: Any, drawn: Drawn) -> None:
    """Change a camera's table, tomlkit's or a plain one, no more than is needed."""
    for section, key, areas in (("zones", "polygon", drawn.zones), ("lines", "points", drawn.lines)):
        _put(camera, section, key, areas)
    for key in ("motion_masks", "privacy_masks"):
        masks = [_rounded(polygon) for polygon in getattr(drawn, key)]
        if masks != camera.get(key, []):
            if masks:
                camera[key] = masks
            else:
                del camera[key]


def _put(camera: Any, section: str, key: str, areas: Mapping[str, Area]) -> None:
    before = dict(camera.get(section, {}))
    if not areas:
        camera.pop(section, None)
        return
    if section not in camera:
        camera[section] = tomlkit.table(is_super_table=True) if isinstance(camera, tomlkit.items.AbstractTable) else {}
    tables = camera[section]
    for name in before:
        if name not in areas:
            del tables[name]
    for name, area in areas.items():
        if name not in tables:
            moved = before.get(area.was) if area.was not in areas else None
            tables[name] = _copied(moved)
        table = tables[name]
        values = {key: _rounded(area.points), "labels": list(area.labels), "anchor": area.anchor}
        defaults = {"labels": [], "anchor": "bottom_center"}
        for one, value in values.items():
            if value != table.get(one, defaults.get(one)):
                table[one] = value
        if name not in before and isinstance(table, tomlkit.items.Table):
            table.add(tomlkit.nl())


def _copied(moved: Mapping[str, Any] | None) -> Any:
    """A table for a new area, with what a renamed one had beside its drawing."""
    copy = tomlkit.table()
    for key, value in dict(moved or {}).items():
        copy[key] = value
    return copy


def _rounded(points: Points) -> list[list[float]]:
    return [[round(x, _DECIMALS), round(y, _DECIMALS)] for x, y in points]


def _replace(path: Path, text: str) -> None:
    """Atomically: whoever reads sees the old text or the new one, also after a power cut."""
    try:
        target = path.resolve()  # a link stays a link
        now = target.stat()
        number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                os.fchmod(number, stat.S_IMODE(now.st_mode))
                if (now.st_uid, now.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(number, now.st_uid, now.st_gid)
                file.flush()
                os.fsync(number)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DrawingError(f"{path}: cannot be written: {error.strerror}; nothing has changed") from error


def decode(body: bytes) -> Drawn:
    """What the page sent. Raises DrawingError."""
    try:
        return msgspec.json.decode(body, type=Drawn)
    except NOT_JSON as error:
        raise DrawingError(f"not a drawing: {error}") from error
