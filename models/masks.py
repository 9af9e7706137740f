"""Pictures with masks -> what a segmenter learns from, and what judges it. Bad data is told before any training.

    DATA/images/NAME.jpg, DATA/masks/NAME.png    a fifth is held out
    DATA/train/images, .., DATA/test/masks       `test` is held out, as its maker wanted

A mask is grey, each pixel the number of its label; 255 is nobody's and counts nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agent.cli.detect import read_image
from agent.data import Array
from convert import ConvertError, output
from convert.int8 import calibration
from models import pictures

NOBODYS = 255
LEAST = 5  # pictures to learn from: 1 of them knows when to stop


@dataclass(frozen=True, slots=True)
class Legend:
    """What the numbers in masks mean."""

    labels: tuple[str, ...]  # one a number, from 0
    binary: bool = False  # whatever is not 0 is the second label: white masks, or numbers of single objects
    nobody: int | None = None  # another number that is nobody's

    def read(self, mask: Array) -> Array:
        """A file's numbers (h, w) -> labels' (h, w) uint8."""
        if self.binary:
            return np.asarray(mask > 0, np.uint8)
        known = mask if self.nobody is None else np.where(mask == self.nobody, NOBODYS, mask)
        return np.asarray(known, np.uint8)


@dataclass(frozen=True, slots=True)
class Masked:
    """Pictures and their masks; rows correspond."""

    paths: tuple[Path, ...]
    masks: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Array) -> Masked:
        """Some of them, in that order."""
        return Masked(tuple(self.paths[i] for i in rows), tuple(self.masks[i] for i in rows))


def read(data: Path, legend: Legend, seed: int = 0) -> tuple[Masked, Masked]:
    """(to learn from, to judge by). Raises ConvertError, one line, for bad data."""
    inner = [data / "train", data / "test"]
    if all(folder.is_dir() for folder in inner):
        return folder_of(inner[0], legend), folder_of(inner[1], legend, least=1)
    found = folder_of(data, legend, least=LEAST + 1)
    rest, taken = pictures.stratified(np.zeros(len(found)), pictures.HELD, seed)
    return found[rest], found[taken]


def folder_of(data: Path, legend: Legend, least: int = LEAST) -> Masked:
    """images/ and masks/ of a folder. Raises ConvertError: a picture or mask alone, sizes that differ, odd numbers."""
    if not (data / "masks").is_dir() or not (data / "images").is_dir():
        raise ConvertError(f"data {data}: wants images/NAME.jpg and masks/NAME.png")
    paths = calibration.pictures(data)
    masks = {path.stem: path for path in sorted((data / "masks").glob("*.png"))}
    alone = [path for path in paths if path.stem not in masks]
    if alone:
        raise ConvertError(f"data {alone[0]}: has no mask masks/{alone[0].stem}.png")
    left = sorted(masks.keys() - {path.stem for path in paths})
    if left:
        raise ConvertError(f"data {masks[left[0]]}: is a mask without its picture in images/")
    if len(paths) < least:
        raise ConvertError(f"data {data}: {len(paths)} pictures with masks; {least} or more are wanted")
    found = Masked(tuple(paths), tuple(masks[path.stem] for path in paths))
    seen: set[int] = set()
    for path, mask in zip(found.paths, found.masks, strict=True):
        seen |= set(np.unique(_mask(path, mask, legend)).tolist())
    if not seen - {0, NOBODYS}:
        raise ConvertError(f"data {data}: its masks show nothing but {legend.labels[0]!r}; nothing can be learned")
    return found


def load(found: Masked, legend: Legend, size: tuple[int, int]) -> tuple[Array, Array]:
    """(N, h, w, 3) uint8 RGB and labels (N, h, w) uint8, both stretched to `size` (width, height)."""
    masks = [_mask(path, mask, legend) for path, mask in zip(found.paths, found.masks, strict=True)]
    scaled = [cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT) for mask in masks]
    return pictures.load(found.paths, size), np.stack(scaled)


def copy(folder: Path, found: Masked, legend: Legend) -> None:
    """The same as FOLDER/images and FOLDER/masks with labels' numbers, as the converter reads them."""
    pictures.clear(folder)
    for path, mask in zip(found.paths, found.masks, strict=True):
        labels = _mask(path, mask, legend)
        output.write({
            folder / "images" / path.name: path.read_bytes(),
            folder / "masks" / f"{path.stem}.png": cv2.imencode(".png", labels)[1].tobytes(),
        })  # fmt: skip


def _mask(path: Path, file: Path, legend: Legend) -> Array:
    """(h, w) uint8 labels of a picture. Raises ConvertError, naming the mask, for what is no mask of it."""
    mask = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    height, width = read_image(path).shape[:2]
    if mask is None or mask.ndim != 2:
        raise ConvertError(f"data {file}: no picture of one channel, with a number for each pixel")
    if mask.shape != (height, width):
        raise ConvertError(f"data {file}: is {mask.shape[1]} x {mask.shape[0]} px, its picture {width} x {height}")
    labels = legend.read(mask)
    odd = np.setdiff1d(labels, [*range(len(legend.labels)), NOBODYS])
    if len(odd):
        raise ConvertError(f"data {file}: has the number {odd[0]}, there are {len(legend.labels)} labels (from 0)")
    return labels
