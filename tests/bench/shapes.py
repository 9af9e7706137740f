"""Generated pictures of plain shapes on noise, labelled in YOLO's layout: what a small net learns in a few epochs.

folder/data.yaml, folder/<split>/images/0000.png, folder/<split>/labels/0000.txt
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = ("disc", "box", "wedge")
SPLITS = {"train": 480, "calibrate": 96, "evaluate": 128}  # pictures
_COLOURS = ((60, 70, 210), (80, 190, 60), (210, 130, 50))  # BGR, of each name, ± 40
_LEAST, _GREATEST = 0.1, 0.45  # of the picture's side


def write(folder: Path, side: int) -> Path:
    """All splits, side × side px; the path of data.yaml. The same pictures on every call."""
    for seed, (split, count) in enumerate(SPLITS.items()):
        rng = np.random.default_rng(seed)
        for kind in ("images", "labels"):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            picture, rows = _picture(rng, side)
            cv2.imwrite(str(folder / split / "images" / f"{i:04}.png"), picture)
            lines = [f"{c} {x:.5f} {y:.5f} {w:.5f} {h:.5f}\n" for c, x, y, w, h in rows]
            (folder / split / "labels" / f"{i:04}.txt").write_text("".join(lines))
    (folder / "data.yaml").write_text(
        f"path: {folder.resolve()}\ntrain: train/images\nval: evaluate/images\nnames:\n"
        + "".join(f"  {i}: {name}\n" for i, name in enumerate(NAMES))
    )
    return folder / "data.yaml"


def _picture(rng: Any, side: int) -> tuple[Any, list[tuple[int, float, float, float, float]]]:
    """(side, side, 3) uint8 BGR, and rows of class, cx, cy, w, h in shares of the side."""
    coarse = rng.integers(30, 200, (6, 6, 3), np.uint8)
    picture = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    picture = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
    rows: list[tuple[int, float, float, float, float]] = []
    for _ in range(int(rng.integers(1, 6))):
        w, h = rng.uniform(_LEAST, _GREATEST, 2)
        x, y = rng.uniform(w / 2, 1 - w / 2), rng.uniform(h / 2, 1 - h / 2)
        if any(abs(x - a) < (w + c) / 2 and abs(y - b) < (h + d) / 2 for _, a, b, c, d in rows):
            continue
        kind = int(rng.integers(len(NAMES)))
        colour = np.clip(np.array(_COLOURS[kind]) + rng.integers(-40, 41, 3), 0, 255).tolist()
        _draw(picture, kind, np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * side, colour)
        rows.append((kind, float(x), float(y), float(w), float(h)))
    return picture, rows


def _draw(picture: Any, kind: int, xyxy: Any, colour: list[int]) -> None:
    """One shape that fills its box."""
    x1, y1, x2, y2 = (round(float(v)) for v in xyxy)
    middle = ((x1 + x2) // 2, (y1 + y2) // 2)
    if kind == 0:
        cv2.ellipse(picture, middle, ((x2 - x1) // 2, (y2 - y1) // 2), 0, 0, 360, colour, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, -1)
    else:
        corners = np.array([[middle[0], y1], [x2, y2], [x1, y2]], np.int32)
        cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)
