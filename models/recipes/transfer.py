"""Your own classes from few pictures: a trunk that was trained on a million others, fine-tuned on yours.

    python -m models.recipes.transfer --data DIR                 class folders; a fifth is held out, or DIR/test is
    python -m models.recipes.transfer --data DIR --flips both    pictures from above, of surfaces: any way up
    python -m models.recipes.transfer --data DIR --curve         and how much 25, 50, .. pictures give, and no trunk

First the answer is learned on the trunk as it is (seconds), then the upper trunk with it, on changed pictures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.data import Array
from models import augment, backbones, drawing, pictures, proof, training
from models.augment import Augment
from models.pictures import Pictures
from models.training import Data, Plan

STEPS = (25, 50, 100, 200)  # pictures, of the learning curve
SCRATCH = (16, 32, 64, 128)  # widths of the net without a trunk


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR|CSV")
    parser.add_argument("--name", default="transfer", help="of the model (%(default)s)")
    parser.add_argument("--trunk", default="efficientnet-lite0", help="or keras:NAME, a .keras or .pth file")
    parser.add_argument("--size", type=int, default=128, help="px a side (%(default)s)")
    parser.add_argument("--flips", choices=augment.FLIPS, default="none", help="what leaves the class as it is")
    parser.add_argument("--degrees", type=float, default=15.0, help="that pictures are turned by (%(default)s)")
    parser.add_argument("--most", type=int, default=500, help="pictures to learn from, at most (%(default)s)")
    parser.add_argument("--rate", type=float, default=7e-4, help="1e-4 where training falls to chance (%(default)s)")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument(
        "--learn-from",
        default="blocks.3._expand_conv",
        metavar="LAYER",
        help="what lies below stays as it is; 'all': nothing does, for pictures unlike photographs",
    )
    parser.add_argument("--curve", action="store_true", help="fewer pictures, and no trunk, beside")
    parser.add_argument("--licence", default="", help="of what is trained, for the model's card")


def tuned(args: argparse.Namespace, x: Array, y: Array, classes: int, place: Path) -> Any:
    """A classifier on the trunk."""
    training.seeded(args.seed)
    body = backbones.trunk(args.trunk, (args.size, args.size))
    model = backbones.classifier(body, classes)
    learn, check = pictures.stratified(y, 0.15, args.seed)
    soft = softened(y, classes)
    answer_first(model, Data(x[learn], soft[learn]), place, args.seed)

    last = args.learn_from if args.trunk == "efficientnet-lite0" else ""
    backbones.freeze(model, last)
    plan = Plan(args.epochs, batch=16, rate=args.rate, decay=1e-2, patience=10, seed=args.seed)
    training.compiled(model, plan, len(learn), "categorical_crossentropy")
    change = changes(args)
    training.fit(model, Data(x[learn], soft[learn]), Data(x[check], soft[check]), plan, place, change=change)
    return model


def answer_first(model: Any, data: Data, place: Path, seed: int) -> None:
    """The last layer alone, on the trunk as it is: its first guesses would upset the trunk."""
    import keras  # noqa: PLC0415

    answer = model.get_layer("answer")
    trunk = keras.Model(model.input, answer.input)
    seen = trunk.predict(data.x.astype(np.float32), batch_size=64, verbose=0)
    head = keras.Sequential([keras.Input(seen.shape[1:]), answer])
    plan = Plan(60, rate=3e-3, decay=1e-2, seed=seed)
    training.fit(training.compiled(head, plan, len(seen), "categorical_crossentropy"), Data(seen, data.y), None, plan,
                 place / "answer")  # fmt: skip


def from_scratch(args: argparse.Namespace, x: Array, y: Array, classes: int, place: Path) -> Any:
    """The same pictures without a trunk: three times the epochs, all layers learn."""
    training.seeded(args.seed)
    model = backbones.classifier(backbones.plain((args.size, args.size), SCRATCH, 0.05, first=2), classes)
    learn, check = pictures.stratified(y, 0.15, args.seed)
    soft = softened(y, classes)
    plan = Plan(3 * args.epochs, batch=16, rate=2e-3, decay=1e-2, patience=20, seed=args.seed)
    training.compiled(model, plan, len(learn), "categorical_crossentropy")
    change = changes(args)
    training.fit(model, Data(x[learn], soft[learn]), Data(x[check], soft[check]), plan, place, change=change)
    return model


def changes(args: argparse.Namespace) -> Augment:
    """What the agent's crops go through: other light, other distances, boxes that sit badly."""
    return Augment(args.degrees, flips=args.flips, light=0.3, color=0.1)


def softened(y: Array, classes: int) -> Array:
    """(N, C): nine tenths for the class, the rest for all (label smoothing)."""
    return (np.eye(classes)[y] * 0.9 + 0.1 / classes).astype(np.float32)


def right(model: Any, held: Pictures, side: int) -> float:
    """Share of the held-out pictures that a float model tells right."""
    scores = model.predict(pictures.load(held.paths, (side, side)).astype(np.float32), batch_size=64, verbose=0)
    return float(np.mean(scores.argmax(axis=1) == held.labels))


def curve(args: argparse.Namespace, train: Pictures, held: Pictures, x: Array, whole: float) -> str:
    """A drawing of both for fewer pictures; the gain over no trunk, in words."""
    lines: dict[str, list[tuple[float, float]]] = {"fine-tuned": [], "from scratch": []}
    for count in [*(n for n in STEPS if 2 * len(train.names) <= n < len(train)), len(train)]:
        rows = pictures.few(train.labels, count, args.seed)
        for name, make in (("fine-tuned", tuned), ("from scratch", from_scratch)):
            known = name == "fine-tuned" and count == len(train)
            place = args.out / name.replace(" ", "-") / str(count)
            share = (
                whole
                if known
                else right(make(args, x[rows], train.labels[rows], len(train.names), place), held, args.size)
            )
            lines[name].append((count, share))
    drawing.curves(args.out / "pictures.png", f"{args.name}: right, held-out, float", lines, "pictures to learn from")
    told = [f"{n:.0f}: {a:.2f}/{b:.2f}" for (n, a), (_, b) in zip(*lines.values(), strict=True)]
    return f"with/without trunk {', '.join(told)}"


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    split = pictures.read(args.data, args.seed)
    train, names = split.train[pictures.few(split.train.labels, args.most, args.seed)], split.train.names
    x = pictures.load(train.paths, (args.size, args.size))
    model = tuned(args, x, train.labels, len(names), args.out)
    found = proof.proven(model, train, split.held, out=args.out, name=args.name, licence=args.licence,
                         groups=args.slices)  # fmt: skip
    said = curve(args, train, split.held, x, found.figures["float32"]["top1"]) if args.curve else ""
    proof.top1_row(args.table, f"`transfer` {args.name}", found, len(train), said)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("transfer", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
