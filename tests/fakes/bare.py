"""A model file's flatbuffer, without the ZIP behind it."""

from __future__ import annotations

import zipfile
from pathlib import Path


def flatbuffer(path: Path) -> bytes:
    """Its bytes."""
    with zipfile.ZipFile(path) as archive:
        return path.read_bytes()[: min(info.header_offset for info in archive.infolist())]
