"""A backend runs a model file: a file here with `Backend(path, threads)`.

`inputs` and `outputs` say what the interpreter has. `input` is a fresh view (1, h, w, 3) of the input tensor's
own memory: fill it and let go of it before `run`, which returns views of the outputs in the order of `outputs`,
still quantised, valid until the next `run`. It raises ModelError for a file that it cannot run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from agent.data import Array
from agent.modelfile import Tensor


class Backend(Protocol):
    """What a backend's class has."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    threads: int  # of the processor that compute
    runs_on: str  # "xnnpack", "edgetpu usb:0", ...: what computes now; it may change while running

    def __init__(self, path: Path, threads: int) -> None: ...

    @property
    def input(self) -> Array:
        """View of the input tensor; drop it before `run`."""
        ...

    def run(self) -> list[Array]:
        """One inference; views of the outputs, still quantised."""
        ...

    def use(self, threads: int) -> None:
        """Another number of threads; `input` is to be filled anew after it. Raises ModelError: all is as before."""
        ...

    def float_tensors(self) -> list[str]:
        """Names of the tensors that are not 8- or 32-bit integers: the float islands of a model."""
        ...
