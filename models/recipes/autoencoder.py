"""What is not as it should be, from normal pictures alone: an autoencoder, beside `python -m convert novelty`.

    python -m models.recipes.autoencoder --data DIR --normal good          DIR/train/good, DIR/test/good, DIR/test/KIND
    python -m models.recipes.autoencoder --data IDX --normal bag --size 64x64        Debian's dataset-fashion-mnist

Not of pixels: a net that draws a texture again errs most where it is finest, not where it is broken. What a trunk that
was trained on a million photographs sees at each place is pressed through few numbers and drawn again; what normal
pictures never had comes out otherwise (deep feature reconstruction: Shi, Yang and Qi, 2021). The file answers with that
error, beyond what is usual: a segmenter of `usual` and `strange`. No strange picture is used to train or choose.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent import config
from agent.data import Array
from agent.detect.secondary.memory import strongest
from convert import ConvertError, novelty
from convert.__main__ import size_of
from convert.int8 import calibration
from models import pictures, proof, strangeness, training
from models.augment import Augment
from models.pictures import Pictures
from models.recipes import fashion
from models.training import Data, Plan

LABELS = ("usual", "strange")
_VIEWS = 400  # pictures that are learned from at least, changed copies among them
_FASHION = (1000, 1000)  # pictures of one class that are learned from, of all that judge


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="of class folders, or of IDX files")
    parser.add_argument("--normal", default="good", metavar="CLASS", help="folder of what is normal (%(default)s)")
    parser.add_argument("--trunk", default="efficientnet-lite0", choices=("efficientnet-lite0", "none"))
    parser.add_argument("--size", type=size_of, default=(192, 192), metavar="WxH", help="px (192x192)")
    parser.add_argument("--numbers", type=int, default=64, help="that a place is pressed into (%(default)s)")
    parser.add_argument("--flips", default="none", choices=("none", "horizontal", "both"), help="what stays normal")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--budget", type=float, default=0.05, help="of docs/converting.md (%(default)s)")
    parser.add_argument("--licence", default="", help="of what is trained, for the model's card")


def read(data: Path, normal: str, work: Path) -> tuple[Pictures, Pictures]:
    """Normal pictures to learn from, all kinds to judge by. Raises ConvertError."""
    if (data / "t10k-images-idx3-ubyte.gz").is_file():
        if normal not in fashion.NAMES:
            raise ConvertError(f"--normal {normal}: there are {', '.join(fashion.NAMES)}")
        (x, y), (held_x, held_y) = fashion.part(data, "train"), fashion.part(data, "t10k")
        rows = np.flatnonzero(y == fashion.NAMES.index(normal))[: _FASHION[0]]
        some = pictures.few(held_y, _FASHION[1])
        return (pictures.write(work / "data" / "train", x[rows], y[rows], fashion.NAMES),
                pictures.write(work / "data" / "test", held_x[some], held_y[some], fashion.NAMES))  # fmt: skip
    good, test = data / "train" / normal, data / "test"
    if not good.is_dir() or not (test / normal).is_dir():
        raise ConvertError(f"data {data}: wants train/{normal}, test/{normal} and test/KIND with pictures")
    paths = calibration.pictures(good)
    if len(paths) < novelty.LEAST:
        raise ConvertError(f"data {good}: {len(paths)} normal pictures cannot say what is usual; {novelty.LEAST} can")
    return Pictures(tuple(paths), np.zeros(len(paths), np.int64), (normal,)), pictures.folders(test, least=1)


def tell(args: argparse.Namespace, learned: int, test: Pictures, ways: dict[str, Array], found: proof.Proof) -> None:
    """AUROC of each way, by kind and of all, and the row."""
    good = test.labels == test.names.index(args.normal)
    kinds = []
    for number, kind in enumerate(test.names):
        if kind != args.normal:
            each = {way: strangeness.auroc(v[good], v[test.labels == number]) for way, v in ways.items()}
            proof.log.info("auroc      %-16s %s", kind, "  ".join(f"{way} {value:.3f}" for way, value in each.items()))
            kinds.append(f"{kind} {each['int8']:.3f}")
    every = {way: strangeness.auroc(values[good], values[~good]) for way, values in ways.items()}
    proof.row(args.table, "autoencoders", f"`autoencoder` {args.data.name}, normal: {args.normal}", (
        f"{learned} / {len(test)}", f"{every['float']:.3f}", f"**{every['int8']:.3f}**", "<br>".join(kinds),
        f"{every['novelty']:.3f}", f"{found.bytes / 1e3:.0f} kB", f"{found.milliseconds:.2f}",
    ))  # fmt: skip


def fitted(args: argparse.Namespace, learned: Pictures) -> Any:
    """Pixels -> how strange each place is (strangeness.judging), learned from normal pictures."""
    x = pictures.load(learned.paths, args.size)
    training.seeded(args.seed)
    see = strangeness.seeing(args.trunk, args.size, x)
    views, change = [x], Augment(degrees=5.0, zoom=0.05, shift=0.03, flips=args.flips, light=0.1)
    generator = np.random.default_rng(args.seed)
    while sum(map(len, views)) < _VIEWS:
        views.append(change(generator, x, learned.labels)[0])
    seen = np.concatenate([see.predict(view.astype(np.float32), batch_size=32, verbose=0) for view in views])
    learn, check = pictures.stratified(np.zeros(len(seen)), 0.15, args.seed)
    plan = Plan(args.epochs, batch=16, rate=4e-3, patience=args.epochs, seed=args.seed)
    draw = strangeness.narrow(seen.shape[3], args.numbers)
    training.compiled(draw, plan, len(learn), "mean_squared_error", metrics=())
    training.fit(draw, Data(seen[learn], seen[learn]), Data(seen[check], seen[check]), plan, args.out)
    return strangeness.judging(see, draw, seen)


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    if any(side % 32 for side in args.size):
        raise ConvertError(f"--size {args.size[0]}x{args.size[1]}: in steps of 32 px")
    learned, test = read(args.data, args.normal, args.out)
    model = fitted(args, learned)
    model.save(args.out / "autoencoder.keras")
    normal = test[np.flatnonzero(test.labels == test.names.index(args.normal))]
    parts = {"calibration": learned, "held-out": normal}
    shown = {part: strangeness.scarred(args.out / part, some, args.size) for part, some in parts.items()}
    found = proof.converted(
        args.out / "autoencoder.keras", args.out, "autoencoder", calibrate=args.out / "calibration",
        evaluate=args.out / "held-out", licence=args.licence, task="segment", labels=LABELS, budget=args.budget,
        groups=proof.grouped(args.slices, shown["held-out"]),
    )  # fmt: skip
    memory = args.out / "novelty.tflite"
    plain = pictures.copy(args.out / "normal", learned)
    novelty.build(novelty.Given(plain.paths[0].parent, memory, config.shipped(config.DEFAULT_MODEL)))
    maps = model.predict(pictures.load(test.paths, args.size).astype(np.float32), verbose=0, batch_size=32)
    ways = {
        "float": np.array([strongest(one) for one in maps]),
        "int8": strangeness.by_map(found.path, test.paths),
        "novelty": strangeness.by_novelty(memory, test.paths),
    }
    tell(args, len(learned), test, ways, found)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("autoencoder", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
