"""The C library, opened once: each ctypes.CDLL makes classes of its own, which only a collection takes away again."""

from __future__ import annotations

import ctypes
from functools import cache


@cache
def libc() -> ctypes.CDLL:
    """The one that Python itself runs on."""
    return ctypes.CDLL(None)
