"""Pictures -> the agent's own letterbox -> the float model -> what values each activation tensor takes.

Two passes: the first notes the least and greatest value of every tensor in every picture, the second counts the
values of all pictures in a histogram between the two. A video is pictures too: frames spread over it.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from agent import modelfile
from agent.cli.detect import read_image
from agent.data import Array
from agent.detect.letterbox import Letterbox
from convert import ConvertError
from convert.tflite import graph

BINS = 2048
FRAMES = 128  # of a video
KINDS = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
_MEMORY = 512 << 20  # bytes of decoded pictures that a Gallery keeps


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What I pictures made of T activation tensors."""

    names: tuple[str, ...]  # (T,)
    low: Array  # (I, T) float32, least value in each picture
    high: Array  # (I, T) float32
    counts: Array  # (T, BINS) int64, of all pictures, from low.min() to high.max() of the tensor


def pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, of its `images` folder, or of its folders' (a class each), by name.

    Raises ConvertError where there are none.
    """
    inner = folder / "images"
    where = inner if inner.is_dir() else folder
    if not where.is_dir():
        raise ConvertError(f"images {where}: no such folder, nor a video")
    for pattern in ("*", "*/*"):
        found = sorted(p for p in where.glob(pattern) if p.suffix.lower() in KINDS and p.is_file())
        if found:
            return found
    raise ConvertError(f"images {where}: there are none ({', '.join(KINDS)})")


@contextlib.contextmanager
def gathered(source: Path) -> Iterator[list[Path]]:
    """The pictures of a folder, or FRAMES frames of a video as pictures that go when the context ends."""
    if not source.is_file():
        yield pictures(source)
        return
    with tempfile.TemporaryDirectory(prefix="lookout-frames-") as folder:
        yield frames(source, Path(folder))


def frames(video: Path, folder: Path, wanted: int = FRAMES) -> list[Path]:
    """Write frames of a video, evenly spread over it, as PNG into a folder. Raises ConvertError: none."""
    capture = cv2.VideoCapture(str(video))
    try:
        total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        every = max(1, total // wanted)
        paths: list[Path] = []
        number = 0
        while len(paths) < wanted and capture.grab():
            if number % every == 0:
                good, frame = capture.retrieve()
                path = folder / f"{video.stem}-{number:06d}.png"
                if good and cv2.imwrite(str(path), frame):
                    paths.append(path)
            number += 1
    finally:
        capture.release()
    if not paths:
        raise ConvertError(f"images {video}: neither a folder nor a video that can be read")
    return paths


class Gallery:
    """Reads pictures as the agent does, and keeps the first of them decoded: trials look at the same ones again."""

    def __init__(self) -> None:
        self._kept: dict[Path, Array] = {}
        self._room = _MEMORY

    def __call__(self, path: Path) -> Array:
        """(H, W, 3) uint8 RGB. Raises LookoutError: missing or not a picture."""
        if path in self._kept:
            return self._kept[path]
        image = read_image(path)
        if image.nbytes <= self._room:
            image.flags.writeable = False
            self._kept[path] = image
            self._room -= image.nbytes
        return image


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


class _Runner:
    """A float model that shows its activations."""

    def __init__(self, model: bytes, wanted: modelfile.Input, read: Callable[[Path], Array]) -> None:
        self._interpreter, self.places = _interpreter(model)
        detail = self._interpreter.get_input_details()[0]
        tensor = modelfile.Tensor(detail["name"], tuple(map(int, detail["shape"])), np.dtype(detail["dtype"]).name)
        self._input, self._letterbox, self._read = detail["index"], Letterbox(wanted, tensor), read

    def __call__(self, path: Path, names: Sequence[str]) -> list[Array]:
        """Views of some activations for one picture; to be dropped before the next."""
        self._letterbox.fill(self._interpreter.tensor(self._input)(), self._read(path))
        self._interpreter.invoke()
        return [self._interpreter.tensor(self.places[name])() for name in names]


def channel_means(
    model: bytes, wanted: modelfile.Input, paths: Sequence[Path], name: str, read: Callable[[Path], Array] = read_image
) -> Array:
    """(I, C) float32: of one activation tensor (1, h, w, C), the mean of each channel in each picture."""
    run = _Runner(model, wanted, read)
    return np.stack([run(path, [name])[0][0].mean(axis=(0, 1)) for path in paths])


def channel_greatest(
    model: bytes, wanted: modelfile.Input, paths: Sequence[Path], names: Sequence[str], read: Callable[[Path], Array]
) -> dict[str, Array]:
    """(C,) float32 of each of some activation tensors (1, h, w, C): each channel's greatest value in all pictures."""
    run = _Runner(model, wanted, read)
    greatest = [np.full(1, -np.inf, np.float32) for _ in names]
    for path in paths:
        values = run(path, names)
        greatest = [np.maximum(g, v[0].max(axis=(0, 1))) for g, v in zip(greatest, values, strict=True)]
        del values
    return dict(zip(names, greatest, strict=True))


def collect(
    model: bytes,
    wanted: modelfile.Input,
    paths: Sequence[Path],
    read: Callable[[Path], Array] = read_image,
    names: Sequence[str] = (),
) -> Statistics:
    """Run a float model over pictures; all activations, or some. Raises LookoutError for an unreadable picture."""
    run = _Runner(model, wanted, read)
    places = list(names or run.places)
    low = np.empty((len(paths), len(places)), np.float32)
    high = np.empty_like(low)
    for i, path in enumerate(paths):
        values = run(path, places)
        low[i], high[i] = [v.min() for v in values], [v.max() for v in values]
        del values  # views of the interpreter's memory: it refuses to go on while they live
    counts = np.zeros((len(places), BINS), np.int64)
    edges = list(zip(low.min(axis=0).tolist(), high.max(axis=0).tolist(), strict=True))
    for path in paths:
        for row, (value, limits) in enumerate(zip(run(path, places), edges, strict=True)):
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
