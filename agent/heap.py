"""Memory that was freed goes back to the system, instead of standing by in the heaps of threads.

glibc has a heap for every few threads, and once a large block was freed it lets each of them keep twice as much at its
end, where not even malloc_trim reaches, but in the first one. A camera that is opened anew in a new thread, or a reload
that reads a model, so adds megabytes to one heap after the other: the process grows in steps, though nothing leaks.
"""

from __future__ import annotations

import ctypes

_ARENA_MAX = -8  # malloc.h


def share_one() -> None:
    """One heap for all threads that begin from now on; like `give_back`, nothing with another libc than glibc.

    They seldom ask it at once: small objects of Python lie elsewhere, large arrays are few.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """The free pages of the heap, also those between used ones; takes ms. For after a moment that needed much."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(ctypes.c_size_t(0))
