"""Pictures with boxes -> what a detector learns from, and what judges it. Bad data is told before any training.

DATA/data.yaml, DATA/images/NAME.jpg, DATA/labels/NAME.txt      YOLO's layout; a fifth is held out
DATA/data.yaml, DATA/train/images, .., DATA/test/labels         or val/, valid/: held out, as its maker wanted
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.cli.detect import read_image
from agent.data import Array, Detections
from convert import ConvertError, output
from convert.accuracy import dataset
from convert.int8 import calibration
from models import pictures

LEAST = 8  # pictures to learn from
_OUTSIDE = 0.02  # share of a side by which a box may reach out: labels are rounded


@dataclass(frozen=True, slots=True)
class Boxed:
    """Pictures, and where their labels are."""

    folder: Path  # with images/ and labels/
    paths: tuple[Path, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Array) -> Boxed:
        """Some of them, in that order."""
        return Boxed(self.folder, tuple(self.paths[i] for i in rows), self.names)

    def truth(self) -> list[Detections]:
        """What is in each, px. Raises ConvertError, naming the file, for lines that are no boxes."""
        sizes = [(image.shape[1], image.shape[0]) for image in map(read_image, self.paths)]
        found = dataset.truth(self.folder, self.paths, sizes, self.names)
        for path, size, there in zip(self.paths, sizes, found, strict=True):
            _check(self.folder / "labels" / f"{path.stem}.txt", there.xyxy, size)
        return found

    def copy(self, folder: Path) -> None:
        """The same as FOLDER/images, FOLDER/labels and data.yaml."""
        pictures.clear(folder)
        names = "".join(f"  {i}: {name}\n" for i, name in enumerate(self.names))
        output.write({folder / "data.yaml": f"names:\n{names}".encode()})
        for path in self.paths:
            label = self.folder / "labels" / f"{path.stem}.txt"
            text = label.read_bytes() if label.is_file() else b""
            output.write({folder / "images" / path.name: path.read_bytes(),
                          folder / "labels" / f"{path.stem}.txt": text})  # fmt: skip


def read(data: Path, seed: int) -> tuple[Boxed, Boxed]:
    """(to learn from, to judge by). Raises ConvertError, one line, for bad data."""
    others = [data / name for name in ("test", "val", "valid") if (data / name).is_dir()]
    if (data / "train").is_dir() and others:
        return folder_of(data / "train"), folder_of(others[0], least=1)
    found = folder_of(data, LEAST + 2)
    rest, taken = pictures.stratified(np.zeros(len(found)), pictures.HELD, seed)
    return found[rest], found[taken]


def folder_of(data: Path, least: int = LEAST) -> Boxed:
    """images/ and labels/ of a folder. Raises ConvertError: no names, a label alone, nothing to find."""
    if not (data / "images").is_dir() or not (data / "labels").is_dir():
        raise ConvertError(f"data {data}: wants images/NAME.jpg and labels/NAME.txt")
    names = dataset.class_names(data)
    if not names or sorted(names) != list(range(len(names))):
        raise ConvertError(f"data {data}: no data.yaml there or beside it with names for the classes from 0 on")
    found = Boxed(data, tuple(calibration.pictures(data)), tuple(names[i] for i in range(len(names))))
    left = sorted({p.stem for p in (data / "labels").glob("*.txt")} - {p.stem for p in found.paths})
    if left:
        raise ConvertError(f"data {data / 'labels' / left[0]}.txt: has boxes for a picture that is not in images/")
    if len(found) < least:
        raise ConvertError(f"data {data}: {len(found)} pictures; {least} are the least, 100 a beginning")
    if not sum(map(len, found.truth())):
        raise ConvertError(f"data {data}: no box in any label; nothing can be learned")
    return found


def _check(label: Path, xyxy: Array, size: tuple[int, int]) -> None:
    """Raises ConvertError for a class without a name, and for boxes that the picture has not."""
    lines = label.read_text("utf-8").split("\n") if label.is_file() else []
    if sum(bool(line.strip()) for line in lines) != len(xyxy):
        raise ConvertError(f"data {label}: has a class that data.yaml has no name for")
    slack = _OUTSIDE * np.array(size * 2)
    wrong = (xyxy < -slack).any(axis=1) | (xyxy > np.array(size * 2) + slack).any(axis=1)
    wrong |= (xyxy[:, 2:] <= xyxy[:, :2]).any(axis=1)
    if wrong.any():
        raise ConvertError(f"data {label}: box {int(wrong.argmax()) + 1} is empty or reaches out of its picture")


def load(found: Boxed, size: tuple[int, int]) -> tuple[Array, Array]:
    """(N, h, w, 3) uint8 RGB stretched to `size` (width, height), and their boxes as `table` has them."""
    sizes = [(image.shape[1], image.shape[0]) for image in map(read_image, found.paths)]
    return pictures.load(found.paths, size), table(found.truth(), sizes, size)


def table(truth: Sequence[Detections], sizes: Sequence[tuple[int, int]], size: tuple[int, int]) -> Array:
    """(N, B, 5) float32: boxes xyxy in px of pictures stretched to `size`, and label; -1 in rows beyond a picture's."""
    most = max(1, *(len(there) for there in truth))
    found = np.full((len(truth), most, 5), -1, np.float32)
    for row, there, own in zip(found, truth, sizes, strict=True):
        row[: len(there), :4] = there.xyxy * np.tile(np.array(size) / own, 2)
        row[: len(there), 4] = there.class_id
    return found
