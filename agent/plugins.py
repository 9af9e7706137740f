"""A plugin is a file: agent/<folder>/<kind>.py, chosen by `kind = "..."` = its name.

Nothing else is edited to add one, and nothing that is not chosen is imported.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

_ROOT = Path(__file__).parent


def names(folder: str) -> list[str]:
    """Kinds there are in a plugin folder: names("capture/cameras") -> ["file", "rtsp", ...]."""
    return sorted(p.stem for p in (_ROOT / folder).glob("[a-z]*.py"))


def get(folder: str, kind: str) -> ModuleType:
    """The module of one kind.

    Raises KeyError, naming the kinds there are, when there is no such file.
    """
    if kind not in names(folder):
        raise KeyError(f"has no {kind!r}; there are: {', '.join(names(folder))}")
    return importlib.import_module(f"agent.{folder.replace('/', '.')}.{kind}")
