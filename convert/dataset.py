"""Labelled pictures in YOLO's layout: images/NAME.jpg, labels/NAME.txt, and the class names in data.yaml.

A line a box: class, centre x, centre y, width, height, each but the class a share (0..1) of the picture. data.yaml
lies in the folder or beside it; without one the class numbers are the model's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent import boxes
from agent.data import Array, Detections
from convert import ConvertError


def truth(
    folder: Path, pictures: Sequence[Path], sizes: Sequence[tuple[int, int]], labels: tuple[str, ...]
) -> list[Detections]:
    """What is in each picture, px, confidence 1; classes that the model does not know are left out.

    A picture without a label file shows nothing. Raises ConvertError, naming the file, for lines that are not boxes.
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
    """(N, 5) float64: class, cx, cy, w, h."""
    if not path.is_file():
        return np.zeros((0, 5))
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip():
            try:
                values = [float(word) for word in line.split()]
            except ValueError:
                values = []
            if len(values) != 5:
                raise ConvertError(f"labels {path}:{number}: wants 'class cx cy w h', is {line.strip()[:40]!r}")
            rows.append(values)
    return np.array(rows, np.float64).reshape(-1, 5)
