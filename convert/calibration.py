"""Pictures -> the agent's own letterbox -> the float model -> what values each activation tensor takes.

Two passes: the first notes the least and greatest value of every tensor in every picture, the second counts the
values of all pictures in a histogram between the two.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from agent import modelfile
from agent.cli.detect import read_image
from agent.data import Array
from agent.detect.letterbox import Letterbox
from convert import ConvertError, graph

BINS = 2048
_KINDS = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What I pictures made of T activation tensors."""

    names: tuple[str, ...]  # (T,)
    low: Array  # (I, T) float32, least value in each picture
    high: Array  # (I, T) float32
    counts: Array  # (T, BINS) int64, of all pictures, from low.min() to high.max() of the tensor


def pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, or of its `images` folder, by name. Raises ConvertError where there are none."""
    inner = folder / "images"
    where = inner if inner.is_dir() else folder
    found = sorted(p for p in where.glob("*") if p.suffix.lower() in _KINDS)
    if not found:
        raise ConvertError(f"images {where}: there are none ({', '.join(_KINDS)})")
    return found


def shuffle(paths: Sequence[Path], seed: int = 0) -> list[Path]:
    """An order that depends on the names and the seed only: the same on every machine, for ever."""
    return sorted(paths, key=lambda p: hashlib.sha256(f"{seed}/{p.name}".encode()).digest())


def checksum(paths: Sequence[Path]) -> str:
    """sha256 of the lines "<sha256>  <name>" of the pictures, in their order: which ones, and that they are they."""
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def identity(paths: Sequence[Path]) -> dict[str, Any]:
    """What a card or a report says of its pictures."""
    return {"images": len(paths), "sha256": checksum(paths)}


def collect(model: bytes, wanted: modelfile.Input, paths: Sequence[Path]) -> Statistics:
    """Run a float model over pictures. Raises LookoutError for a picture that cannot be read."""
    interpreter, places = _interpreter(model)
    detail = interpreter.get_input_details()[0]
    tensor = modelfile.Tensor(detail["name"], tuple(map(int, detail["shape"])), np.dtype(detail["dtype"]).name)
    letterbox = Letterbox(wanted, tensor)

    def run(path: Path) -> list[Array]:
        letterbox.fill(interpreter.tensor(detail["index"])(), read_image(path))
        interpreter.invoke()
        return [interpreter.tensor(index)() for index in places.values()]

    low = np.empty((len(paths), len(places)), np.float32)
    high = np.empty_like(low)
    for i, path in enumerate(paths):
        values = run(path)
        low[i], high[i] = [v.min() for v in values], [v.max() for v in values]
        del values  # views of the interpreter's memory: it refuses to go on while they live
    counts = np.zeros((len(places), BINS), np.int64)
    edges = list(zip(low.min(axis=0).tolist(), high.max(axis=0).tolist(), strict=True))
    for path in paths:
        for row, (value, limits) in enumerate(zip(run(path), edges, strict=True)):
            counts[row] += histogram(value, *limits)
        del value
    return Statistics(tuple(places), low, high, counts)


def histogram(values: Array, low: float, high: float) -> Array:
    """(BINS,) int64: how many float32 values lie in each part of low .. high, however narrow that is."""
    if high <= low:
        return np.zeros(BINS, np.int64)
    place = (values.ravel() - np.float32(low)) / np.float32(high - low) * BINS
    return np.bincount(np.clip(place, 0, BINS - 1).astype(np.intp), minlength=BINS)


def _interpreter(model: bytes) -> tuple[Any, dict[str, int]]:
    """An interpreter that keeps every tensor, and where its activations are: name -> index."""
    wanted = set(graph.read(model).activations())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "intended for debugging purposes": that is what this is
        interpreter = Interpreter(model_content=model, experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
    places = {d["name"]: int(d["index"]) for d in interpreter.get_tensor_details() if d["name"] in wanted}
    if len(places) != len(wanted):
        raise ConvertError("calibration: the float model has activation tensors that the interpreter does not show")
    return interpreter, places
