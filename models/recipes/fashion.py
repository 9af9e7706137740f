"""Clothes: ten kinds in small grey pictures, by a convolutional net from scratch.

    python -m models.recipes.fashion                Debian's dataset-fashion-mnist: 60,000 pictures, 10,000 held out
    python -m models.recipes.fashion --data DIR     your own class folders

The held-out pictures are the set's own. Mirrored sideways, as a shoe may point either way; never turned, as none of
its pictures is.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent.data import Array
from convert import ConvertError
from models import backbones, pictures, proof, training
from models.augment import Augment
from models.pictures import Split
from models.training import Data, Plan

DATA = Path(".cache/models/usr/share/datasets/fashion-mnist")
SIZE = (28, 28)
WIDTHS = (24, 48, 96)
CHANGE = Augment(degrees=0.0, zoom=0.05, shift=0.05, flips="horizontal", light=0.0)
NAMES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="(%(default)s)")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--ship", type=Path, metavar="DIR", help="copy model and card there, once they are proven")
    parser.add_argument("--licence", default="", help="of what is trained, for the model's card")


def read(data: Path, work: Path, seed: int) -> tuple[Data, Split]:
    """What is learned from; as files some of it, to find ranges, and all that is held out. Raises ConvertError."""
    if not (data / "train-images-idx3-ubyte.gz").is_file():
        if data == DATA:
            raise ConvertError(f"data {data}: is not there; make models/fashion fetches it, --data DIR names another")
        split = pictures.read(data, seed)
        return Data(pictures.load(split.train.paths, SIZE), split.train.labels), split
    (x, y), (held_x, held_y) = part(data, "train"), part(data, "t10k")
    some = np.linspace(0, len(x) - 1, proof.CALIBRATE).astype(np.intp)
    files = pictures.write(work / "data" / "train", x[some], y[some], NAMES)
    return Data(x, y), Split(files, pictures.write(work / "data" / "test", held_x, held_y, NAMES))


def part(data: Path, name: str) -> tuple[Array, Array]:
    """(N, 28, 28, 3) uint8, grey, and labels of Debian's two files. Raises ConvertError."""
    images, labels = idx(data / f"{name}-images-idx3-ubyte.gz", 3), idx(data / f"{name}-labels-idx1-ubyte.gz", 1)
    return np.repeat(images[..., None], 3, axis=3), labels.astype(np.int64)


def idx(path: Path, dimensions: int) -> Array:
    """An array of bytes in the IDX format: two zeros, the type 8, how many dimensions, their lengths (big-endian)."""
    try:
        data = gzip.decompress(path.read_bytes())
        shape = np.frombuffer(data, ">u4", dimensions, 4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError) as error:
        raise ConvertError(f"data {path}: not a file of Fashion-MNIST ({error})") from error


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    data, split = read(args.data, args.out, args.seed)
    x, y, names = data.x, data.y, split.train.names
    learn, check = pictures.stratified(y, 0.05, args.seed)

    training.seeded(args.seed)
    plan = Plan(args.epochs, batch=128, rate=4e-3, decay=1e-3, patience=args.epochs, seed=args.seed)
    model = backbones.classifier(backbones.plain(SIZE, WIDTHS, first=2), len(names), dropout=0.2)
    training.compiled(model, plan, len(learn), "sparse_categorical_crossentropy")
    training.fit(model, Data(x[learn], y[learn]), Data(x[check], y[check]), plan, args.out, change=CHANGE)

    found = proof.proven(model, split.train, split.held, out=args.out, name="fashion", licence=args.licence,
                         groups=args.slices)  # fmt: skip
    if args.ship:
        proof.ship(found, args.ship)
    proof.top1_row(args.table, f"`fashion` {args.data.name}", found, len(data))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("fashion", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
