"""Where your things are: a small YOLO-style head on a pretrained trunk, learned from a YOLO folder.

    python -m models.recipes.detector --data DIR     images/, labels/, data.yaml (models.boxed)
    python -m models.recipes.detector                scenes of the agent's synthetic camera, drawn anew
    python -m agent sim --source synthetic --model build/models/detector/detector_int8.tflite

Three grids without anchors: each cell near a box's middle answers with its distances to the four sides (Tian et al.,
FCOS, 2019) and with how well they fit, as its score (Li et al., Generalized Focal Loss, 2020). The agent's head `yolo`
reads it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent.boxes import xyxy_to_cxcywh
from agent.capture.cameras import synthetic
from convert import ConvertError, output
from convert.__main__ import size_of
from models import augment, backbones, boxed, cells, pictures, proof, training
from models.augment import Augment
from models.cells import Windows
from models.training import Data, Plan

TAPS = {8: "blocks.4.add", 16: "blocks.10.add", 32: "blocks.14.add"}  # stride -> layer of efficientnet-lite0
_DRAWN = {"train": range(1, 25), "test": range(101, 109)}  # seeds of scenes; the sim's own is 0
_FRAMES = 6  # of a scene
_LARGER = 2  # times the net's size, of what windows are cut out of


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's own options."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="images/, labels/, data.yaml (default: drawn)")
    parser.add_argument("--trunk", default="efficientnet-lite0", choices=("efficientnet-lite0", "none"))
    parser.add_argument("--learn-from", default="blocks.5._expand_conv", metavar="LAYER", help="what lies below stays")
    parser.add_argument("--size", type=size_of, default=(192, 192), metavar="WxH", help="px (192x192)")
    parser.add_argument("--window", type=float, default=0.5, help="least share of a side that is shown (%(default)s)")
    parser.add_argument("--flips", choices=augment.FLIPS[:2], default="horizontal", help="what leaves the label")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--budget", type=float, default=0.02, help="mAP that int8 may cost (%(default)s)")
    parser.add_argument("--licence", default="", help="of what is trained, for the model's card")


def draw(folder: Path) -> Path:
    """Scenes of the agent's synthetic camera as a YOLO folder."""
    output.write({folder / "data.yaml": b"names: [block]\n"})
    for part, seeds in _DRAWN.items():
        for seed in seeds:
            scene = synthetic.Options(objects=1 + seed % 6, seed=seed, rate=1 / 7, pace="max", seconds=7 * _FRAMES)
            for frame in synthetic.frames(scene):
                rows = xyxy_to_cxcywh(synthetic.truth(scene, frame.t)) / np.array(frame.size * 2)
                text = "".join(f"0 {' '.join(f'{v:.5f}' for v in row)}\n" for row in rows)
                name, picture = f"{seed:03d}-{frame.seq}", cv2.imencode(".jpg", frame.image[:, :, ::-1])[1]
                output.write({folder / part / "images" / f"{name}.jpg": picture.tobytes(),
                              folder / part / "labels" / f"{name}.txt": text.encode()})  # fmt: skip
    return folder


def net(trunk: Any, labels: int, width: int = 64) -> Any:
    """Pixels 0..255 -> (rows, 4 + labels), the answers of all grids; layers `box_S` and `logit_S` are one grid's."""
    from keras import Model, layers  # noqa: PLC0415

    def normed(x: Any) -> Any:
        return layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))

    above: Any = None
    parts: list[Any] = []
    for stride in reversed(TAPS):
        x = normed(layers.Conv2D(width, 1, use_bias=False)(trunk.get_layer(TAPS[stride]).output))
        x = x if above is None else layers.Add()([x, layers.UpSampling2D(interpolation="bilinear")(above)])
        above = x
        for _ in range(2):
            x = normed(layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x))
        box = layers.Conv2D(4, 1, bias_initializer="ones", name=f"box_{stride}")(x)
        rare = -4.0  # logit: hardly any cell has something
        logit = layers.Conv2D(labels, 1, bias_initializer=_constant(rare), name=f"logit_{stride}")(x)
        both = layers.Concatenate()([box, logit])
        parts.insert(0, layers.Reshape((-1, 4 + labels))(both))
    return Model(trunk.input, layers.Concatenate(axis=1)(parts))


def _constant(value: float) -> Any:
    from keras import initializers  # noqa: PLC0415

    return initializers.Constant(value)


def described(out: Path) -> Path:
    """What the converter has to know of the outputs."""
    outputs = "".join(
        f'[[outputs]]\ntensor = "{role}_{stride}"\nrole = "{role}"\nstride = {stride}\n'
        for stride in TAPS for role in ("box", "logit")
    )  # fmt: skip
    text = f'head = "yolo"\ntask = "detect"\ndecode = {{ box = "dfl", reg_max = 1 }}\n{outputs}'
    output.write({out / "head.toml": text.encode()})
    return out / "head.toml"


def run(args: argparse.Namespace) -> int:
    """Data -> model -> fit -> convert -> evaluate."""
    if any(side % max(TAPS) for side in args.size) or not 0.1 <= args.window <= 1:
        raise ConvertError("detector: --size in steps of 32 px, --window between 0.1 and 1")
    learned, held = boxed.read(args.data or draw(args.out / "drawn"), args.seed)
    learn, check = pictures.stratified(np.zeros(len(learned)), 0.1, args.seed)
    large = (args.size[0] * _LARGER, args.size[1] * _LARGER)
    change = Windows(args.size, tuple(TAPS), args.window, Augment(flips=args.flips, light=0.2, color=0.05))
    seen = Data(*boxed.load(learned[check], args.size))
    seen = Data(seen.x, np.stack([cells.grids(boxes, args.size, change.strides) for boxes in seen.y]))

    training.seeded(args.seed)
    trunk = backbones.trunk(args.trunk, args.size)
    backbones.freeze(trunk, args.learn_from if args.trunk != "none" else "all")
    plan = Plan(args.epochs, batch=8, rate=2e-3, decay=1e-3, patience=args.epochs, seed=args.seed)
    model = training.compiled(net(trunk, len(learned.names)), plan, len(learn), cells.loss, metrics=())
    training.fit(model, Data(*boxed.load(learned[learn], large)), seen, plan, args.out, change=change)

    model.save(args.out / "detector.keras")
    learned.copy(args.out / "calibration")
    held.copy(args.out / "held-out")
    found = proof.converted(
        args.out / "detector.keras", args.out, "detector", calibrate=args.out / "calibration",
        evaluate=args.out / "held-out", labels=learned.names, licence=args.licence, head=described(args.out),
        budget=args.budget,
        groups=proof.grouped(args.slices, held),
    )  # fmt: skip
    kinds = [found.figures[kind] for kind in ("float32", "int8")]
    proof.row(args.table, "detectors", f"`detector` {args.data.name if args.data else 'drawn scenes'}", (
        f"{len(learned)} / {len(held)}", " / ".join(f"{k['map']:.3f}" for k in kinds),
        " / ".join(f"{k['map50']:.3f}" for k in kinds), f"{found.bytes / 1e6:.2f} MB", f"{found.milliseconds:.1f}",
    ))  # fmt: skip
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return proof.command("detector", __doc__ or "", arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
