"""Labelled pictures, in the layouts that people have: the truth for each kind of answer.

    boxes     YOLO's    images/NAME.jpg, labels/NAME.txt: a line a box "class cx cy w h", shares (0..1) of the picture
    classes   folders   CLASS/NAME.jpg
    masks     pictures  images/NAME.jpg, masks/NAME.png: grey, the class number of each pixel, 255 = nobody's

Class names stand in data.yaml, in the folder or beside it (folders name themselves); without it the class numbers are
the model's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from agent import boxes
from agent.data import Array, Detections
from agent.modelfile import Input
from convert import ConvertError
from convert.accuracy.compare import Recording, Seen
from convert.accuracy.evidence import Truth

_NOBODYS = 255  # in a mask
_POLYGON = 7  # words a line from which it is a polygon: class and three corners


def of(folder: Path, pictures: Sequence[Path], recording: Recording, method: str) -> Truth | None:
    """The truth of some pictures for a head's `method` (convert.accuracy.tasks); None where the folder has no labels.

    Raises ConvertError where labels are there and do not fit the model or the pictures.
    """
    card, sizes = recording.card, [seen.size for seen in recording.seen]
    if method == "scores" and any(path.parent not in (folder, folder / "images") for path in pictures):
        return classes(folder, pictures, card.labels)
    if method == "decode" and (folder / "labels").is_dir():
        return truth(folder, pictures, sizes, card.labels)
    if method == "mask" and (folder / "masks").is_dir():
        return [_mask(folder, path, seen, card.input) for path, seen in zip(pictures, recording.seen, strict=True)]
    return None


def truth(
    folder: Path, pictures: Sequence[Path], sizes: Sequence[tuple[int, int]], labels: tuple[str, ...]
) -> list[Detections]:
    """What is in each picture, px, confidence 1; classes that the model does not know are left out.

    A picture without a label file shows nothing. Raises ConvertError, naming the file, for lines that are not boxes,
    and where the labels name nothing that the model knows.
    """
    names = class_names(folder)
    known = {label: i for i, label in enumerate(labels)}
    number = {i: known.get(name, -1) for i, name in names.items()} if names else {i: i for i in range(len(labels))}
    if names and all(i < 0 for i in number.values()):
        raise ConvertError(f"labels {folder}: none of its class names is a label of the model")
    found = []
    for path, size in zip(pictures, sizes, strict=True):
        rows = _rows(folder / "labels" / f"{path.stem}.txt")
        class_id = np.array([number.get(int(c), -1) for c in rows[:, 0]], np.int32)
        xyxy = boxes.cxcywh_to_xyxy(rows[:, 1:] * np.array(size * 2)).astype(np.float32)
        found.append(Detections(xyxy, np.ones(len(rows), np.float32), class_id)[class_id >= 0])
    return found


def classes(folder: Path, pictures: Sequence[Path], labels: tuple[str, ...]) -> list[int]:
    """The label of each picture, by the name of its folder, else by the place of that name among its sisters.

    Raises ConvertError where the folders are neither the model's labels nor as many.
    """
    names = sorted(p.name for p in folder.iterdir() if p.is_dir())
    known = {label: i for i, label in enumerate(labels)}
    strangers = [name for name in names if name not in known]
    if strangers and len(names) != len(labels):
        raise ConvertError(
            f"labels {folder}: {len(names)} folders, the model has {len(labels)} labels and none is {strangers[0]!r};"
            " name the folders as the labels, or give --labels FILE"
        )
    number = {name: i for i, name in enumerate(names)} if strangers else known
    return [number[path.relative_to(folder).parts[0]] for path in pictures]


def class_names(folder: Path) -> dict[int, str]:
    """`names` of data.yaml in the folder or beside it: "0: person" or "- person" lines, or [person, car]; else {}."""
    path = next((p for p in (folder / "data.yaml", folder.parent / "data.yaml") if p.is_file()), None)
    if path is None:
        return {}
    text = path.read_text("utf-8")
    inline = re.search(r"^names:\s*\[(.*?)\]", text, re.M | re.S)
    if inline:
        return dict(enumerate(_plain(name) for name in inline[1].split(",") if name.strip()))
    block = re.search(r"^names:[^\S\n]*\n((?:[ \t]+.*\n?|-.*\n?|[ \t]*\n)*)", text, re.M)
    numbered = re.findall(r"^\s+(\d+)\s*:\s*(.+)$", block[1] if block else "", re.M)
    if numbered:
        return {int(number): _plain(name) for number, name in numbered}
    listed = re.findall(r"^\s*-\s*(.+)$", block[1] if block else "", re.M)
    if not listed:
        raise ConvertError(f"labels {path}: has no names")
    return dict(enumerate(map(_plain, listed)))


def _plain(name: str) -> str:
    return name.split(" #", maxsplit=1)[0].strip().strip("\"'")


def _rows(path: Path) -> Array:
    """(N, 5) float64: class, cx, cy, w, h; a polygon's box where a line has corners."""
    if not path.is_file():
        return np.zeros((0, 5))
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip():
            try:
                values = [float(word) for word in line.split()]
            except ValueError:
                values = []
            if len(values) >= _POLYGON and len(values) % 2:
                values = _around(values)
            if len(values) != 5:
                raise ConvertError(f"labels {path}:{number}: wants 'class cx cy w h', is {line.strip()[:40]!r}")
            rows.append(values)
    return np.array(rows, np.float64).reshape(-1, 5)


def _around(values: list[float]) -> list[float]:
    """class, x, y, x, y, .. -> class, cx, cy, w, h of the box around the corners."""
    x, y = np.array(values[1::2]), np.array(values[2::2])
    left, right, top, bottom = float(x.min()), float(x.max()), float(y.min()), float(y.max())
    return [values[0], (left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def _mask(folder: Path, picture: Path, seen: Seen, wanted: Input) -> Array:
    """(h, w) int32 in px of the model's input: class of the picture there, -1 where nothing is to be compared."""
    path = folder / "masks" / f"{picture.stem}.png"
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None:
        raise ConvertError(f"labels {path}: is not there, or no picture; every picture needs its mask")
    if mask.ndim != 2 or mask.shape[::-1] != seen.size:
        raise ConvertError(
            f"labels {path}: is {mask.shape}, wants one channel of class numbers,"
            f" {seen.size[1]} x {seen.size[0]} as the picture"
        )
    size, scale, offset = seen.size, seen.placement.scale, seen.placement.offset
    x = np.floor((np.arange(wanted.size[0]) + 0.5 - offset[0]) / scale[0]).astype(np.intp)
    y = np.floor((np.arange(wanted.size[1]) + 0.5 - offset[1]) / scale[1]).astype(np.intp)
    there = ((y >= 0) & (y < size[1]))[:, None] & ((x >= 0) & (x < size[0]))[None, :]
    label = mask[np.clip(y, 0, size[1] - 1)[:, None], np.clip(x, 0, size[0] - 1)[None, :]].astype(np.int32)
    return np.where(there & (label != _NOBODYS), label, -1)
