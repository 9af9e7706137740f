"""Bytes that a power cut does not take back: a file, and a name in a folder."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """A file whose bytes are on the disk when this returns; its name is only once `sync_folder` was called."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """A rename is on the disk once its folder is."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: Path, data: bytes, mode: int | None = None) -> None:
    """The old content or the new, whole, whenever the process or the power goes; `mode` None: as the umask has it."""
    draft = path.with_name(f".{path.name}")
    if mode is not None:
        draft.unlink(missing_ok=True)
        draft.touch(mode)
    write(draft, data)
    draft.replace(path)
    sync_folder(path.parent)
