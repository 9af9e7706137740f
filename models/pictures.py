"""Somebody's pictures -> what to train on, and what to judge by and nothing else. Bad data is told before any training.

    DATA/CLASS/NAME.jpg                         a fifth of each class is held out, no series in part
    DATA/train/CLASS/NAME.jpg, DATA/test/..     `test` is held out, as its maker wanted
    DATA.csv, lines image,label                 names of pictures, from the folder of the CSV on

Pictures come to a net as they will on the device: through the agent's own letterbox.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agent.cli.detect import read_image
from agent.data import Array, LookoutError
from agent.detect.letterbox import Letterbox
from agent.modelfile import Input, Tensor
from convert import ConvertError, output
from convert.accuracy import slices
from convert.int8 import calibration

log = logging.getLogger(__name__)
HELD = 0.2  # share of each class that judges the model and is used for nothing else
ALIKE = 0.98  # correlation of two small grey copies above which they are taken for the same thing a moment later
LEAST = 5  # pictures a class: 1 held out, 1 to know when to stop, 3 to learn from


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Files and what they show."""

    paths: tuple[Path, ...]
    labels: Array  # (N,) int64 indices into names
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Sequence[int] | Array) -> Pictures:
        """Some of them, in that order."""
        return Pictures(tuple(self.paths[i] for i in rows), self.labels[np.asarray(rows, np.intp)], self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """What is learned from, and what judges."""

    train: Pictures
    held: Pictures


def read(data: Path, seed: int = 0) -> Split:
    """Train and held-out pictures of a user's folder or CSV. Raises ConvertError, one line, for bad data."""
    inner = [data / "train", data / "test"]
    if all(folder.is_dir() for folder in inner):
        train, held = folders(inner[0]), folders(inner[1], least=1)
        if train.names != held.names:
            odd = sorted(set(train.names) ^ set(held.names))
            raise ConvertError(f"data {data}: class {odd[0]!r} is not in both train/ and test/; make it so")
        known = int((thumbnails(held.paths) @ thumbnails(train.paths).T > ALIKE).any(axis=1).sum())
        if known:
            log.warning("data       %d of %d pictures of test/ are nearly equal to one of train/", known, len(held))
        return Split(train, held)
    found = table(data) if data.is_file() else folders(data)
    rest, taken = stratified(found.labels, HELD, seed, series(found))
    return Split(found[rest], found[taken])


def folders(data: Path, least: int = LEAST) -> Pictures:
    """CLASS/NAME.jpg. Raises ConvertError: no such folder, one class, an empty one, a picture that is none."""
    if not data.is_dir():
        raise ConvertError(f"data {data}: no such folder, nor a CSV file")
    names = tuple(sorted(p.name for p in data.iterdir() if p.is_dir() and not p.name.startswith(".")))
    paths: list[Path] = []
    labels: list[int] = []
    for number, name in enumerate(names):
        inside = sorted(p for p in (data / name).iterdir() if not p.name.startswith("."))
        strange = [p for p in inside if p.suffix.lower() not in calibration.KINDS]
        if strange:
            raise ConvertError(f"data {strange[0]}: is no picture ({', '.join(calibration.KINDS)}); take it out")
        paths += inside
        labels += [number] * len(inside)
    return checked(Pictures(tuple(paths), np.array(labels, np.int64), names), data, least)


def table(file: Path, least: int = LEAST) -> Pictures:
    """A CSV of image,label. Raises ConvertError with the line: a label without its picture, a picture without label."""
    rows: list[tuple[Path, str]] = []
    for number, cells in enumerate(slices.lines(file, "data", "label", "neither a folder nor a CSV file"), 2):
        if len(cells) != 2 or not all(cell.strip() for cell in cells):
            raise ConvertError(f"data {file}:{number}: wants 'image,label', is {','.join(cells)[:40]!r}")
        path = file.parent / cells[0].strip()
        if not path.is_file():
            raise ConvertError(f"data {file}:{number}: has a label for {cells[0].strip()}, which is not there")
        rows.append((path, cells[1].strip()))
    names = tuple(sorted({label for _, label in rows}))
    labels = np.array([names.index(label) for _, label in rows], np.int64)
    return checked(Pictures(tuple(path for path, _ in rows), labels, names), file, least)


def checked(found: Pictures, data: Path, least: int = LEAST) -> Pictures:
    """The same, where something can be learned from it. Raises ConvertError for what is wrong first."""
    if len(found.names) < 2:
        many = f"one class only ({found.names[0]})" if found.names else "no folders with pictures"
        raise ConvertError(f"data {data}: {many}; a folder for each of two classes or more is wanted")
    counts = np.bincount(found.labels, minlength=len(found.names))
    fewest = int(counts.argmin())
    if counts[fewest] == 0:
        raise ConvertError(f"data {data}: class {found.names[fewest]!r} is empty; put pictures there or take it away")
    if counts[fewest] < least:
        raise ConvertError(
            f"data {data}: class {found.names[fewest]!r} has {counts[fewest]} pictures; {least} are the least,"
            " 10 a beginning, 100 good"
        )
    for path in found.paths:
        try:
            read_image(path)
        except LookoutError as error:
            raise ConvertError(f"data: {error}; take it out or mend it") from error
    return found


def stratified(labels: Array, share: float, seed: int, groups: Array | None = None) -> tuple[Array, Array]:
    """Rows that stay and rows that are taken, ascending: a share of each class (N,), at least one, never all.

    Rows of one group (N,) of a class stay together; a class that is one group is split all the same.
    """
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        wanted = min(max(1, round(share * len(rows))), len(rows) - 1)
        together = [rows] if groups is None else [rows[groups[rows] == g] for g in dict.fromkeys(groups[rows].tolist())]
        if len(together) == 1:
            together = list(rows[:, None])
        for some in together:
            if chosen[rows].sum() + len(some) <= wanted:
                chosen[some] = True
        if not chosen[rows].any():
            chosen[min(together, key=len)] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def series(found: Pictures) -> Array:
    """(N,) int64: pictures of one number are of one thing, a moment apart, and must not learn and judge at once.

    That is told by names SERIES_NUMBER or SERIES-NUMBER where a class has LEAST series or more (`cup_12` alone tells
    nothing), and by pictures that are nearly equal.
    """
    groups = np.arange(len(found))
    for label in range(len(found.names)):
        rows = np.flatnonzero(found.labels == label)
        names = np.array([re.sub(r"[_-]\d+$", "", found.paths[row].stem) for row in rows])
        begins = {name: rows[names == name] for name in dict.fromkeys(names.tolist())}
        if LEAST <= len(begins) < len(rows):
            for alike in begins.values():
                groups[alike] = alike[0]
        small = thumbnails([found.paths[row] for row in rows])
        for place, row in enumerate(rows):
            alike = np.unique(groups[rows[small @ small[place] > ALIKE]])
            if len(alike) > 1:
                groups[rows[np.isin(groups[rows], alike)]] = groups[row]
    return groups


def thumbnails(paths: Sequence[Path]) -> Array:
    """(N, 256) float32: 16 x 16 grey levels less their mean, of length 1; a product of two is their correlation."""
    grey = [cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY) for path in paths]
    found = np.array([cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA) for image in grey], np.float32)
    found = found.reshape(len(paths), 256)
    found -= found.mean(axis=1, keepdims=True)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6))


def few(labels: Array, count: int, seed: int = 0) -> Array:
    """Rows of at most `count` pictures, ascending: of every class as many as of any other, as far as there are.

    One at random out of each of as many equal stretches of their order: neighbours by name are often of the same thing.
    """
    generator = np.random.default_rng(seed)
    inside = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    wanted = np.zeros(len(inside), np.intp)
    while wanted.sum() < min(count, len(labels)):
        room = [i for i, rows in enumerate(inside) if wanted[i] < len(rows)]
        wanted[min(room, key=lambda i: wanted[i])] += 1
    taken = []
    for rows, many in zip(inside, wanted.tolist(), strict=True):
        ends = np.arange(many + 1) * len(rows) // max(1, many)
        taken.append(rows[generator.integers(ends[:-1], ends[1:])])
    return np.sort(np.concatenate(taken))


def load(paths: Sequence[Path], size: tuple[int, int]) -> Array:
    """(N, height, width, 3) uint8 RGB, stretched to `size` (width, height) as the agent does it."""
    wanted = Input(size, resize="stretch")
    letterbox = Letterbox(wanted, Tensor("image", (1, size[1], size[0], 3), "uint8"))
    found = np.empty((len(paths), size[1], size[0], 3), np.uint8)
    for row, path in enumerate(paths):
        letterbox.fill(found[row : row + 1], read_image(path))
    return found


def write(folder: Path, images: Array, labels: Array, names: Sequence[str]) -> Pictures:
    """Pictures (N, h, w, 3) uint8 RGB as FOLDER/CLASS/NAME.png, for what wants files; those that were there go.

    File names begin with their class: a name stands for one picture in the report and its groups.
    """
    clear(folder)
    paths = []
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / names[label] / f"{names[label]}-{number:05d}.png"
        output.write({path: cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()})
        paths.append(path)
    return Pictures(tuple(paths), np.asarray(labels, np.int64), tuple(names))


def copy(folder: Path, found: Pictures) -> Pictures:
    """The same files as FOLDER/CLASS/CLASS-NUMBER-NAME, byte for byte."""
    clear(folder)
    paths = []
    for number, (path, label) in enumerate(zip(found.paths, found.labels, strict=True)):
        name = found.names[label]
        paths.append(folder / name / f"{name}-{number:05d}-{path.name}")
        output.write({paths[-1]: path.read_bytes()})
    return Pictures(tuple(paths), found.labels, found.names)


def clear(folder: Path) -> None:
    """Take away the pictures that an earlier run left in a folder of ours; other files stay."""
    for path in folder.glob("*/*"):
        if path.suffix.lower() in calibration.KINDS:
            path.unlink()
