"""Memory that was freed goes back to the system, instead of standing by in the heaps of threads.

glibc has a heap for every few threads. Once a large block was freed, it takes blocks of that size from its heaps too,
and lets each keep twice as much at its end, where not even malloc_trim reaches, but in the first one. A camera that is
opened anew in a new thread, or a reload that reads a model, so adds megabytes to one heap after the other: the process
grows in steps, though nothing leaks. In one heap the holes of such blocks remain, and what each frame needs for a
moment touches them here and there: 5 to 20 MB. So free pages are given back every few seconds, .5 ms each time.

What a reload leaves behind refers to itself in circles, and Python's collector does not come until a quarter of all
objects are new: hours. So it is called, and modules, which stay, are kept out of its rounds: 1.3 ms, else 25.

numpy never gives its small blocks back: of each size below 1 KiB it holds the last seven that were freed (its alloc.c).
They would come over hours, one here and one there among what goes, where each keeps a page: 3.6 MB that look like a
leak. So all are taken at the start, side by side.
"""

from __future__ import annotations

import ctypes
import gc

from agent.libc import libc

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1  # malloc.h
_LARGE = 8 << 20  # bytes; a picture of 1920 x 1080 is less: page by page, a new one each frame would cost ms
_SPARE = 16 << 20  # bytes free at the heap's end
_SIZES, _HELD = 1024, 7  # NBUCKETS and NCACHE of numpy


def settle() -> None:
    """One heap for all threads that begin from now on, blocks over 8 MiB outside of it; like `give_back`, nothing with
    another libc than glibc. A thread that is there already may have made another, which later ones then share: its end
    is never given back.

    They seldom ask it at once: small objects of Python lie elsewhere, large arrays are few.
    """
    mallopt = getattr(libc(), "mallopt", None)
    if mallopt:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _LARGE)  # as it is: it rises no more with what is freed
        mallopt(_TRIM_THRESHOLD, _SPARE)


def keep() -> None:
    """What is there now is there to stay: no collection looks at it again. What numpy will hold comes now."""
    import numpy as np  # noqa: PLC0415  after `settle`

    for size in range(1, _SIZES):
        _ = [np.empty(size, np.uint8) for _ in range(_HELD)]
    gc.collect()
    gc.freeze()


def collect() -> None:
    """Objects that only refer to each other go, and what `give_back` gives; not in a thread that a camera waits for."""
    gc.collect()
    give_back()


def give_back() -> None:
    """The free pages of the heap, also those between used ones."""
    trim = getattr(libc(), "malloc_trim", None)
    if trim:
        trim(ctypes.c_size_t(0))
