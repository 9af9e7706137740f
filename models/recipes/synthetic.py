"""Made-up pictures for those who have five of each: do light, clouds, pasted scenes or drawn defects help?

    python -m models.recipes.synthetic --data DIR                        each kind beside ordinary changes, five seeds
    python -m models.recipes.synthetic --data DIR --kinds defect --normal good     class "good" with drawn defects
                                                                                   becomes the other class
For each seed the same few pictures, as often changed in the ordinary way (turned, zoomed, in other light) or half of
them in the made-up way besides; the answer is learned on a frozen trunk. A gain is claimed where the 95 % interval of
the mean over seeds (Student's t, pairs) lies above nothing. The finished file uses the first kind.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert import ConvertError
from models import augment, backbones, pictures, proof, scenery, training, tuning
from models.augment import Augment
from models.pictures import Pictures
from models.training import Data

_T = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # 97.5 % of Student's t, 1 to 9 degrees
MADE = 0.5  # share of the copies that are made up


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR|CSV")
    parser.add_argument("--name", default="synthetic", help="of the model (%(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=[*scenery.KINDS], default=["light", "clouds", "paste"])
    parser.add_argument("--normal", metavar="CLASS", help="of two: what drawn defects turn into the other")
    parser.add_argument("--few", type=int, default=5, help="pictures a class (%(default)s)")
    parser.add_argument("--copies", type=int, default=8, help="of each picture (%(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="at least 2, at most 10 (%(default)s)")
    parser.add_argument("--trunk", default="efficientnet-lite0")
    parser.add_argument("--size", type=int, default=96, help="px a side (%(default)s)")
    parser.add_argument("--flips", choices=augment.FLIPS, default="none")
    parser.add_argument("--licence", default="", help="of what is trained, for the model's card")


def changed(args: argparse.Namespace, seed: int, data: Data, kind: str, normal: int) -> Data:
    """`copies` of each picture: changed in the ordinary way, and by a kind "" or of scenery.KINDS."""
    generator = np.random.default_rng(seed)
    change = Augment(flips=args.flips)
    x, y = [], []
    for _ in range(args.copies):
        images, labels = change(generator, data.x, data.y.copy())
        for row in np.flatnonzero(generator.random(len(images)) < MADE) if kind else ():
            if kind == "defect" and labels[row] != normal:
                continue
            other = data.x[generator.integers(len(data.x))]
            images[row] = scenery.KINDS[kind](generator, images[row], other)
            labels[row] = 1 - labels[row] if kind == "defect" else labels[row]
        x.append(images)
        y.append(labels)
    return Data(np.concatenate(x), np.concatenate(y))


def interval(gains: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and its 95 % interval over seeds."""
    mean, spread = float(np.mean(gains)), float(np.std(gains, ddof=1))
    half = _T[len(gains) - 2] * spread / math.sqrt(len(gains))
    return mean, mean - half, mean + half


def compared(args: argparse.Namespace, model: Any, train: Pictures, held: Pictures) -> dict[str, list[float]]:
    """Shares told right by kind ("" ordinary), an entry a seed; the model keeps the first kind's first."""
    size = (args.size, args.size)
    x, judged = pictures.load(train.paths, size), pictures.load(held.paths, size)
    normal = train.names.index(args.normal) if args.normal else -1
    right: dict[str, list[float]] = {kind: [] for kind in ("", *args.kinds)}
    kept = None
    for seed in range(args.seed, args.seed + args.seeds):
        rows = pictures.few(train.labels, args.few * len(train.names), seed)
        for kind, told in right.items():
            data = changed(args, seed, Data(x[rows], train.labels[rows]), kind, normal)
            tuning.answered(model, data.x, data.y)
            scores = model.predict(judged, batch_size=64, verbose=0)
            told.append(float(np.mean(scores.argmax(axis=1) == held.labels)))
            proof.log.info("seed       %d  %s %.3f", seed, kind or "ordinary", told[-1])
            kept = model.get_weights() if kept is None and kind == args.kinds[0] else kept
    model.set_weights(kept)
    return right


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    split = pictures.read(args.data, args.seed)
    train, names = split.train, split.train.names
    if not 2 <= args.seeds <= 10:
        raise ConvertError(f"--seeds {args.seeds}: 2 to 10")
    if ("defect" in args.kinds) != (args.normal in names and len(names) == 2):
        raise ConvertError(f"--kinds defect wants --normal CLASS, one of two classes; there are {', '.join(names)}")
    training.seeded(args.seed)
    model = tuning.learner(backbones.trunk(args.trunk, (args.size, args.size)), len(names))
    right = compared(args, model, train, split.held)
    found = proof.proven(model, train, split.held, out=args.out, name=args.name, licence=args.licence,
                         groups=args.slices)  # fmt: skip
    for kind in args.kinds:
        mean, low, high = interval([a - b for a, b in zip(right[kind], right[""], strict=True)])
        says = "a gain" if low > 0 else "a loss" if high < 0 else "none that could be shown"
        proof.row(args.table, "synthetic", f"{args.name}, {kind}, {args.few} a class", (
            f"{args.few * len(names)} / {len(split.held)}", f"{np.mean(right['']):.3f}", f"{np.mean(right[kind]):.3f}",
            f"{mean:+.3f} ({low:+.3f} to {high:+.3f}), {args.seeds} seeds", says,
            f"{found.figure:.3f}" if kind == args.kinds[0] else "",
        ))  # fmt: skip
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("synthetic", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
