"""Your own classes from few pictures: a trunk that was trained on a million others, fine-tuned on yours.

    python -m models.recipes.transfer --data DIR                 class folders; a fifth is held out, or DIR/test is
    python -m models.recipes.transfer --data DIR --flips any     pictures from above, of surfaces: any way up
    python -m models.recipes.transfer --data DIR --curve         and how much 25, 50, .. pictures give, and no trunk
    python -m models.recipes.transfer --data DIR --trunk plain   a small net from scratch: drawn things, small, rigid

First the answer is learned on the trunk as it is (seconds), then the trunk with it, on changed pictures: see
models.tuning. There is no rate to set: what does not help is not kept. Signs and symbols look like no photograph of a
thing: there a net that knows nothing learns more, given long enough (models/README.md).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.data import Array
from convert import ConvertError
from models import augment, backbones, drawing, pictures, proof, training, tuning
from models.augment import Augment
from models.training import Data, Plan

STEPS = (25, 50, 100, 200, 400)  # pictures, of the learning curve
PLAIN, SCRATCH = "plain", (16, 32, 64, 128)  # the net without a trunk, its widths


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR|CSV")
    parser.add_argument("--name", default="transfer", help="of the model (%(default)s)")
    parser.add_argument("--trunk", default="efficientnet-lite0", help="or plain, keras:NAME, a .keras or .pth file")
    parser.add_argument("--size", type=int, default=160, help="px a side; 96 where crops are small (%(default)s)")
    parser.add_argument("--flips", choices=augment.FLIPS, default="none", help="what leaves the class as it is")
    parser.add_argument("--degrees", type=float, default=15.0, help="that pictures are turned by (%(default)s)")
    parser.add_argument("--light", type=float, default=0.3, help="share by which it may change (%(default)s)")
    parser.add_argument("--stops", type=float, default=0.0, help="darker or brighter by; outdoors 2 (%(default)s)")
    parser.add_argument("--most", type=int, default=500, help="pictures to learn from, at most (%(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="three times as many from scratch (%(default)s)")
    parser.add_argument(
        "--learn-from",
        default="blocks.3._expand_conv",
        metavar="LAYER",
        help="what lies below stays as it is; 'all': nothing does, for pictures unlike photographs",
    )
    parser.add_argument("--cut", metavar="LAYER", help="the trunk's last: blocks.10.add where crops are small")
    parser.add_argument("--curve", action="store_true", help="fewer pictures, and no trunk, beside")
    parser.add_argument("--licence", default="", help="of what is trained, for the model's card")


def learner(args: argparse.Namespace, classes: int) -> Any:
    """The trunk, and an answer that has learned nothing."""
    training.seeded(args.seed)
    trunk = backbones.trunk(args.trunk, (args.size, args.size))
    return tuning.learner(backbones.cut(trunk, args.cut) if args.cut else trunk, classes)


def changes(args: argparse.Namespace) -> Augment:
    """What the agent's crops go through: other light, other distances, boxes that sit badly."""
    return Augment(args.degrees, zoom=0.2, flips=args.flips, light=args.light, stops=args.stops, color=0.1, blur=0.01)


def from_scratch(args: argparse.Namespace, data: Data, series: Array, classes: int) -> Any:
    """The same pictures without a trunk: three times the epochs, or until validation has not got better for long."""
    training.seeded(args.seed)
    model = backbones.classifier(backbones.plain((args.size, args.size), SCRATCH, 0.05, first=2), classes)
    learn, check = tuning.parts(data, series, args.seed, classes)
    plan = Plan(3 * args.epochs, batch=16, rate=2e-3, decay=1e-2, patience=args.epochs, seed=args.seed)
    training.compiled(model, plan, len(learn), "categorical_crossentropy")
    training.fit(model, learn, check, plan, args.out / "scratch", change=changes(args))
    return model


def fine_tuned(args: argparse.Namespace, data: Data, series: Array, classes: int) -> Any:
    """The trunk with its answer, brought to these pictures."""
    model = learner(args, classes)
    known = args.trunk == "efficientnet-lite0" or args.learn_from == "all"
    rate = 1e-3 if args.learn_from == "all" else 5e-4  # where batch normalisation learns along
    plan = Plan(args.epochs, batch=16, rate=rate, decay=1e-2, patience=args.epochs, seed=args.seed, average=0.98)
    tuning.tuned(model, data, series, plan, args.out, change=changes(args), below=args.learn_from if known else "")
    return model


def right(model: Any, held: Data) -> float:
    """Share of the held-out pictures that a float model tells right."""
    return float(np.mean(model.predict(held.x, batch_size=64, verbose=0).argmax(axis=1) == held.y))


def curve(args: argparse.Namespace, data: Data, series: Array, held: Data, whole: float) -> None:
    """Fewer pictures, the answer alone learned; of all, what fine-tuning (`whole`) and a net from scratch make."""
    classes, line = int(data.y.max()) + 1, []
    model = learner(args, classes)
    for count in [*(n for n in STEPS if 2 * classes <= n < len(data)), len(data)]:
        rows = pictures.few(data.y, count, args.seed)
        tuning.answered(model, data.x[rows], data.y[rows])
        line.append((float(count), right(model, held)))
    scratch = right(from_scratch(args, data, series, classes), held)
    all_of_it = float(len(data))
    lines = {"trunk as it is": line, "fine-tuned": [(all_of_it, whole)], "from scratch": [(all_of_it, scratch)]}
    drawing.curves(args.out / "pictures.png", f"{args.name}: right, held-out, float", lines, "pictures to learn from")
    alone = line.pop()[1]
    told = {count: f"{share:.3f}" for count, share in line}
    proof.row(args.table, "few pictures", args.name, (
        *(told.get(count, "") for count in STEPS), f"{alone:.3f} of {len(data)}", f"{whole:.3f}", f"{scratch:.3f}",
        f"{whole - scratch:+.3f}",
    ))  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    if args.curve and args.trunk == PLAIN:
        raise ConvertError("--curve: compares a trunk with none; give another --trunk than plain, or leave it away")
    split = pictures.read(args.data, args.seed)
    train, names = split.train[pictures.few(split.train.labels, args.most, args.seed)], split.train.names
    data, series = Data(pictures.load(train.paths, (args.size, args.size)), train.labels), pictures.series(train)
    make = from_scratch if args.trunk == PLAIN else fine_tuned
    model = make(args, data, series, len(names))
    found = proof.proven(model, train, split.held, out=args.out, name=args.name, licence=args.licence,
                         groups=args.slices)  # fmt: skip
    named = args.name + (", from scratch" if args.trunk == PLAIN else "")
    proof.top1_row(args.table, f"`transfer` {named}", found, len(train))
    if args.curve:
        held = Data(pictures.load(split.held.paths, (args.size, args.size)), split.held.labels)
        curve(args, data, series, held, found.figures["float32"]["top1"])
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("transfer", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
