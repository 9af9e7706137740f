"""What is not as it should be, from normal pictures alone: an autoencoder, beside `python -m convert novelty`.

    python -m models.recipes.autoencoder --data DIR --normal good          DIR/train/good, DIR/test/good, DIR/test/KIND
    python -m models.recipes.autoencoder --data IDX --normal bag --size 32x32        Debian's dataset-fashion-mnist

Scars are drawn into normal pictures, and the net learns to draw the picture without them; what it draws otherwise than
it was, is strange. No strange picture is used for training or to choose anything.
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
from convert import ConvertError, novelty
from convert.__main__ import size_of
from convert.int8 import calibration
from models import pictures, proof, strangeness, training
from models.augment import Augment
from models.pictures import Pictures
from models.recipes import fashion
from models.strangeness import Scars
from models.training import Data, Plan

NARROW = 8  # cells a side where the picture is least
_FASHION = (2000, 1000)  # pictures of one class that are learned from, of all that judge


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="of class folders, or of IDX files")
    parser.add_argument("--normal", default="good", metavar="CLASS", help="folder of what is normal (%(default)s)")
    parser.add_argument("--size", type=size_of, default=(128, 128), metavar="WxH", help="px (128x128)")
    parser.add_argument("--flips", default="none", choices=("none", "horizontal", "both"), help="what stays normal")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--budget", type=float, default=0.02, help="of docs/converting.md (%(default)s)")
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


def net(size: tuple[int, int], width: int = 16) -> Any:
    """(h, w, 3) pixels 0..255 -> the same, through NARROW cells a side."""
    from keras import Input, Model, layers  # noqa: PLC0415

    def convolved(x: Any, channels: int, strides: int = 1) -> Any:
        x = layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False)(x)
        return layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))

    image = Input((size[1], size[0], 3))
    depth = int(np.log2(min(size) / NARROW))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    for level in range(depth):
        x = convolved(convolved(x, width << min(level, 2), strides=2), width << min(level, 2))
    x = convolved(x, width)  # few channels: not enough to copy what it sees
    for level in reversed(range(depth)):
        x = convolved(layers.UpSampling2D(interpolation="bilinear")(x), width << min(level, 2))
    return Model(image, layers.Rescaling(127.5, offset=127.5)(layers.Conv2D(3, 3, padding="same")(x)))


def distance(truth: Any, drawn: Any) -> Any:
    """Mean of error and squared error, of the range: a blot may not be cheap, nor a grey level free."""
    from keras import ops  # noqa: PLC0415

    apart = (ops.cast(truth, "float32") - drawn) / 127.5
    return ops.mean(ops.square(apart) + 0.1 * ops.abs(apart))


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


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    if any(side % NARROW or side & (side - 1) for side in args.size):
        raise ConvertError(f"--size {args.size[0]}x{args.size[1]}: sides must be powers of two, {NARROW} or more")
    learned, test = read(args.data, args.normal, args.out)
    x = pictures.load(learned.paths, args.size)
    learn, check = pictures.stratified(np.zeros(len(x)), 0.15, args.seed)
    training.seeded(args.seed)
    plan = Plan(args.epochs, batch=16, rate=4e-3, patience=args.epochs // 2, seed=args.seed)
    model = training.compiled(net(args.size), plan, len(learn), distance, metrics=())
    scars = Scars(Augment(degrees=5.0, zoom=0.05, shift=0.03, flips=args.flips, light=0.1))
    seen = scars(np.random.default_rng(args.seed), x[check], x[check])  # the same ones after each epoch
    training.fit(model, Data(x[learn], x[learn]), Data(*seen), plan, args.out, change=scars)
    model.save(args.out / "autoencoder.keras")
    normal = test[np.flatnonzero(test.labels == test.names.index(args.normal))]
    copied = [pictures.copy(args.out / part, some) for part, some in (("calibration", learned), ("held-out", normal))]
    found = proof.converted(
        args.out / "autoencoder.keras", args.out, "autoencoder", calibrate=args.out / "calibration",
        evaluate=args.out / "held-out", licence=args.licence, task="reconstruct", budget=args.budget,
        groups=proof.grouped(args.slices, copied[1]),
    )  # fmt: skip
    memory = args.out / "novelty.tflite"
    novelty.build(novelty.Given(args.out / "calibration" / args.normal, memory, config.shipped(config.DEFAULT_MODEL)))
    fed = pictures.load(test.paths, args.size)
    drawn = model.predict(fed, verbose=0, batch_size=32)
    ways = {
        "float": np.array([strangeness.error(a, b) for a, b in zip(fed, drawn, strict=True)]),
        "int8": strangeness.by_drawing(found.path, test.paths, fed),
        "novelty": strangeness.by_novelty(memory, test.paths),
    }
    tell(args, len(learned), test, ways, found)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("autoencoder", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
