"""Whose face, which product: a picture becomes a vector, and pictures of one thing lie near each other; for `match`.

    python -m models.recipes.embed --data DIR                        DIR/NAME/*.jpg; names are held out, not pictures
    python -m models.recipes.embed --data DIR --gallery CLEAN        and a clean picture of each: photograph -> product

What the middle of a trunk sees, coarsely by place, is turned into numbers in which pictures of one name differ little
(likeness.whitening). From there it is learned with an angular margin: a picture must be nearer to its own name than to
any other by more than it is judged with (ArcFace's idea, Deng et al., 2019; the margin is taken off the cosine, as
CosFace does, Wang et al., 2018).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models import augment, backbones, likeness, pictures, proof, training
from models.augment import Augment
from models.training import Data, Plan

MARGIN, SCALE = 0.25, 16.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a folder of pictures a name")
    parser.add_argument("--gallery", type=Path, metavar="DIR", help="a folder a name with its clean picture")
    parser.add_argument("--trunk", default="efficientnet-lite0", help="or a .keras or .pth file")
    parser.add_argument("--cut", default="blocks.10.add:1,blocks.14.add:1", metavar="LAYER:CELLS,..",
                        help="of the trunk, and cells a side that are left of each (%(default)s)")  # fmt: skip
    parser.add_argument("--learn-from", default="blocks.5._expand_conv", metavar="LAYER", help="what lies below stays")
    parser.add_argument("--size", type=int, default=128, help="px a side (%(default)s)")
    parser.add_argument("--numbers", type=int, default=256, help="of a vector (%(default)s)")
    parser.add_argument("--flips", choices=augment.FLIPS, default="horizontal", help="what leaves the name as it is")
    parser.add_argument("--mirror", action="store_true", help="as faces: look at a picture and its mirror image both")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--budget", type=float, default=0.02, help="1 - cosine that int8 may cost (%(default)s)")
    parser.add_argument("--licence", default="", help="of what is trained, for the model's card")


def nets(args: argparse.Namespace, names: int) -> tuple[Any, Any, Any]:
    """The trunk, pooled; the embedder on it; and that with a cosine for each name, to be trained."""
    from keras import Model, layers, ops  # noqa: PLC0415

    class Cosines(layers.Layer):  # type: ignore[misc]
        """(N, D) -> (N, names): cosines with a direction of each name, which are learned."""

        def build(self, shape: tuple[int, ...]) -> None:
            self.directions = self.add_weight(shape=(shape[-1], names), initializer="glorot_uniform")

        def call(self, vectors: Any) -> Any:
            return ops.matmul(ops.normalize(vectors, axis=-1), ops.normalize(self.directions, axis=0))

    trunk = backbones.trunk(args.trunk, (args.size, args.size))
    parts = [likeness.tapped(trunk, cut) for cut in args.cut.split(",")]
    raw = Model(trunk.input, layers.Concatenate()(parts) if len(parts) > 1 else parts[0])
    vector = layers.Dense(args.numbers, name="vector")(raw.output)
    backbones.freeze(raw, args.learn_from)
    return raw, Model(trunk.input, vector), Model(trunk.input, Cosines()(vector))


def with_margin(names: int) -> Callable[[Any, Any], Any]:
    """Cross-entropy of the cosines, the right one made less by the margin."""
    from keras import losses, ops  # noqa: PLC0415

    def loss(truth: Any, cosines: Any) -> Any:
        wanted = ops.one_hot(ops.cast(ops.reshape(truth, (-1,)), "int32"), names)
        return ops.mean(losses.categorical_crossentropy(wanted, SCALE * (cosines - MARGIN * wanted), from_logits=True))

    return loss


def told(way: str, worth: likeness.Worth) -> str:
    """A line of figures."""
    found = "" if math.isnan(worth.recall[0]) else f"  recall@1 {worth.recall[0]:.3f}  @5 {worth.recall[1]:.3f}"
    return f"{way:20} EER {worth.equal:.3f} ({worth.pairs[0]} + {worth.pairs[1]} pairs){found}"


def compared(
    args: argparse.Namespace, model: Path, embedder: Any, held: pictures.Pictures, gallery: pictures.Pictures | None
) -> dict[str, likeness.Worth]:
    """What vectors are worth: of no net, of nets that never saw the task, and of this one in float and int8."""
    from keras.models import clone_model  # noqa: PLC0415

    def of(way: Callable[[Sequence[Path]], Any]) -> likeness.Worth:
        return likeness.worth(held, way(held.paths), gallery, way(gallery.paths) if gallery else None)

    def by_net(net: Any, mirror: bool = False) -> likeness.Worth:
        return of(lambda paths: likeness.by_net(net, pictures.load(paths, (args.size, args.size)), mirror))

    fresh, _, _ = nets(args, 1)
    return {
        "raw pixels": of(likeness.by_pixels),
        "trunk, random": by_net(clone_model(fresh)),
        "trunk, as it comes": by_net(fresh),
        "float": by_net(embedder, args.mirror),
        "int8": of(lambda paths: likeness.by_file(model, paths)),
    }


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    learned, held = likeness.read(args.data, args.seed)
    gallery = pictures.folders(args.gallery, least=1) if args.gallery else None
    if gallery:  # the clean pictures of names that are learned are learned too; those of the others never
        known = np.flatnonzero([gallery.names[label] in learned.names for label in gallery.labels])
        learned = likeness.joined([learned, likeness.renumbered(gallery[known])])
    data, names = Data(pictures.load(learned.paths, (args.size, args.size)), learned.labels), len(learned.names)
    if args.mirror:
        data, names, args.flips = likeness.mirrored(data, names), 2 * names, "none"
    training.seeded(args.seed)
    plan = Plan(args.epochs, batch=32, rate=3e-4, decay=1e-2, seed=args.seed)
    raw, embedder, trained = nets(args, names)
    training.compiled(trained, plan, len(data.x), with_margin(names), metrics=())
    change = Augment(degrees=10.0, zoom=0.1, shift=0.05, flips=args.flips, light=0.2, color=0.05)
    trained.layers[-1].directions.assign(likeness.whiten(raw, embedder, data, change, args.seed).T)
    training.fit(trained, data, None, plan, args.out, change=change)
    embedder.save(args.out / "embed.keras")
    parts = [pictures.copy(args.out / part, some) for part, some in (("calibration", learned), ("held-out", held))]
    found = proof.converted(
        args.out / "embed.keras", args.out, "embed", calibrate=args.out / "calibration",
        evaluate=args.out / "held-out", licence=args.licence, task="embed", budget=args.budget,
        groups=proof.grouped(args.slices, parts[1]), decode={"mirror": True} if args.mirror else None,
    )  # fmt: skip
    worths = compared(args, found.path, embedder, held, gallery)
    for way, worth in worths.items():
        proof.log.info("likeness   %s", told(way, worth))
    proof.row(args.table, "embedders", f"`embed` {args.data.name}", (
        f"{len(learned.names)} / {len(held.names)} names",
        *(f"{w.equal:.3f}" + ("" if math.isnan(w.recall[0]) else f", {w.recall[0]:.3f}, {w.recall[1]:.3f}")
          for w in worths.values()),
        f"{found.bytes / 1e3:.0f} kB", f"{found.milliseconds:.2f}",
    ))  # fmt: skip
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("embed", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
