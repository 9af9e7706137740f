"""Files that are whole or not there: written beside their place, then renamed; and said early where that cannot be."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from convert import ConvertError


def writable(folder: Path) -> None:
    """Make a folder where it is not there. Raises ConvertError where no file can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConvertError(f"output {folder}: {error.strerror}") from error


def write(files: Mapping[Path, bytes]) -> None:
    """Replace files as a whole, all of them or none: a reader sees the old bytes or the new, never a part.

    In their order; whatever stops it, a full disk or Ctrl-C, takes the unfinished ones away. Raises ConvertError.
    """
    waiting: dict[Path, Path] = {}
    for path in files:
        if path.exists() and not path.is_file():
            raise ConvertError(f"output {path}: is there and is no file; nothing was written")
    path = next(iter(files))
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            waiting[path] = path.with_name(f".{path.name}.{os.getpid()}")
            waiting[path].write_bytes(data)
        for path, temporary in waiting.items():
            temporary.replace(path)
    except OSError as error:
        raise ConvertError(f"output {path}: {error.strerror}; nothing was written") from error
    finally:
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)
