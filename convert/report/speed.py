"""Size, and time a picture here: float and int8 by turns, so that whatever else the machine does hits both."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from agent.detect.backends.tflite import Backend
from agent.modelfile import ModelError

_ROUNDS = 40
_WARM = 3


class Speed(msgspec.Struct, frozen=True):
    """Milliseconds a picture, medians of interleaved runs."""

    reference: float
    own: float
    rounds: int
    threads: int


def measure(reference: bytes, model: bytes, *, threads: int = 1, seconds: float = 6.0) -> Speed | None:
    """Run both on noise by turns, for at most `seconds`; None where one does not run here."""
    with tempfile.TemporaryDirectory(prefix="lookout-speed-") as folder:
        backends = []
        for name, data in (("float", reference), ("int8", model)):
            path = Path(folder) / f"{name}.tflite"
            path.write_bytes(data)
            try:
                backends.append(Backend(path, threads))
            except ModelError:
                return None
        generator = np.random.default_rng(0)
        for backend in backends:
            view = backend.input
            low = 0 if view.dtype == np.uint8 else -128 if view.dtype == np.int8 else 0
            view[...] = generator.integers(low, low + 256, view.shape).astype(view.dtype)
            del view
            for _ in range(_WARM):
                backend.run()
        taken: list[tuple[float, ...]] = []
        stop = time.monotonic() + seconds
        while len(taken) < _ROUNDS and (time.monotonic() < stop or len(taken) < _WARM):
            taken.append(tuple(_run(backend) for backend in backends))
        first, second = (float(x) for x in np.median(np.array(taken), axis=0) * 1e3)
        return Speed(first, second, len(taken), threads)


def _run(backend: Backend) -> float:
    start = time.perf_counter()
    backend.run()
    return time.perf_counter() - start
