"""What is where: a small U-Net, from scratch, beside what a threshold does.

    python -m models.recipes.segment --data DIR --labels ground,nucleus --binary
    python -m models.recipes.segment --data DIR --labels sky,building,... --nobody 11 --size 240x176 --sides

DIR has images/ and masks/ (models.masks). The mask that comes out has half the input's resolution: half of what the
agent measures with needs a quarter of the time. Judged by mean IoU, with the converter's own count of it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert import ConvertError
from convert.__main__ import size_of
from models import classical, masks, pictures, proof, training
from models.augment import Augment
from models.masks import NOBODYS, Legend
from models.training import Data, Plan

DEPTH = 3  # times that the picture is halved after the first convolution


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="with images/ and masks/")
    parser.add_argument("--labels", required=True, metavar="A,B,..", help="names of the masks' numbers, from 0")
    parser.add_argument("--binary", action="store_true", help="two labels: whatever is not 0 is the second")
    parser.add_argument("--nobody", type=int, metavar="N", help="a number that counts nowhere, besides 255")
    parser.add_argument("--size", type=size_of, default=(256, 256), metavar="WxH", help="px (256x256)")
    parser.add_argument("--light", type=float, default=0.2, help="share by which it may change (%(default)s)")
    parser.add_argument("--sides", action="store_true", help="there is an up and a down: mirrored sideways only")
    parser.add_argument("--width", type=int, default=16, help="channels of the first convolution (%(default)s)")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--budget", type=float, default=0.01, help="mean IoU that int8 may cost (%(default)s)")
    parser.add_argument("--licence", default="", help="of what is trained, for the model's card")


def unet(size: tuple[int, int], labels: int, width: int) -> Any:
    """(h, w, 3) pixels 0..255 -> (h/2, w/2, labels) logits: Ronneberger et al., 2015, with batch normalisation.

    At its lowest every place is also told what the whole picture is like: how bright, say.
    """
    from keras import Input, Model, layers  # noqa: PLC0415

    def convolved(x: Any, channels: int, strides: int = 1) -> Any:
        x = layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False)(x)
        return layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))

    image = Input((size[1], size[0], 3))
    x = convolved(layers.Rescaling(1 / 127.5, offset=-1.0)(image), width, strides=2)
    kept = []
    for level in range(DEPTH):
        kept.append(convolved(convolved(x, width << level), width << level))
        x = layers.MaxPooling2D()(kept[-1])
    x = convolved(convolved(x, width << DEPTH), width << DEPTH)
    whole = layers.Dense(width << DEPTH, use_bias=False)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.ReLU(6.0)(layers.Add()([x, layers.BatchNormalization(momentum=0.9)(whole)]))
    x = layers.Dropout(0.2)(x)
    for level in reversed(range(DEPTH)):
        x = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(x), kept[level]])
        x = convolved(convolved(x, width << level), width << level)
    return Model(image, layers.Conv2D(labels, 1)(x))


def loss_of(labels: int) -> Callable[[Any, Any], Any]:
    """Cross-entropy, and 1 - Dice so that small things count as much as large ones; nobody's cells do not."""
    from keras import ops  # noqa: PLC0415

    def loss(truth: Any, logits: Any) -> Any:
        truth = ops.cast(truth[:, 1::2, 1::2], "int32")  # the cells' middles, as the converter judges
        wanted = ops.one_hot(ops.where(truth == NOBODYS, -1, truth), labels)  # -1: all 0
        counted = ops.sum(wanted, axis=-1, keepdims=True)
        shares = ops.softmax(logits) * counted
        entropy = -ops.sum(wanted * ops.log_softmax(logits)) / (ops.sum(counted) + 1.0)
        both, either = ops.sum(shares * wanted, axis=(0, 1, 2)), ops.sum(shares + wanted, axis=(0, 1, 2))
        is_there = ops.cast(ops.sum(wanted, axis=(0, 1, 2)) > 0, "float32")
        dice = ops.sum(is_there * (2 * both + 1) / (either + 1)) / (ops.sum(is_there) + 1e-6)
        return entropy + 1 - dice

    return loss


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    legend = Legend(tuple(args.labels.split(",")), args.binary, args.nobody)
    step = 2 << DEPTH
    if len(legend.labels) < 2 or (args.binary and len(legend.labels) != 2) or any(s % step for s in args.size):
        raise ConvertError(f"segment: two --labels or more (with --binary just two), and a --size in steps of {step}")
    learned, held = masks.read(args.data, legend, args.seed)
    x, y = masks.load(learned, legend, args.size)
    learn, check = pictures.stratified(np.zeros(len(x)), 0.15, args.seed)

    training.seeded(args.seed)
    plan = Plan(args.epochs, batch=4, rate=4e-3, decay=1e-3, patience=args.epochs // 2, seed=args.seed)
    model = training.compiled(unet(args.size, len(legend.labels), args.width), plan, len(learn),
                              loss_of(len(legend.labels)), metrics=())  # fmt: skip
    change = Augment(5.0 if args.sides else 30.0, light=0.0, flips="horizontal" if args.sides else "both",
                     color=args.light)  # fmt: skip  # less or more of each colour: an offset would drown dark pictures
    training.fit(model, Data(x[learn], y[learn]), Data(x[check], y[check]), plan, args.out, change=change)

    model.save(args.out / "segment.keras")
    masks.copy(args.out / "calibration", learned, legend)
    masks.copy(args.out / "held-out", held, legend)
    groups = proof.grouped(args.slices, held)
    found = proof.converted(
        args.out / "segment.keras", args.out, "segment", calibrate=args.out / "calibration",
        evaluate=args.out / "held-out", labels=legend.labels, licence=args.licence, task="segment",
        groups=groups, budget=args.budget,
    )  # fmt: skip
    name, figure = classical.best(x, y, *masks.load(held, legend, args.size), every=2)
    proof.row(args.table, "segmenters", f"`segment` {args.data.name}", (
        f"{len(learned)} / {len(held)}", f"{figure:.3f} ({name})", f"{found.figures['float32']['miou']:.3f}",
        f"**{found.figure:.3f}**", f"{found.bytes / 1e3:.0f} kB", f"{found.milliseconds:.1f}",
    ))  # fmt: skip
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("segment", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
