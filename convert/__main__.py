"""python -m convert MODEL | build | inspect | compare | evaluate | novelty | sign.

MODEL --calibrate DIR|VIDEO [--evaluate DATA]  one int8 .tflite with its card, its report, and a page that shows it
build RECIPE --source ARCHIVE                  rebuild from the recorded ranges: the same bytes, no pictures
inspect FILE                                   what is inside a .tflite, what its card says, where an Edge TPU stops
compare FLOAT INT8 --images DIR                what an int8 model lost, whoever made it; exit code 3 beyond the budget
evaluate MODEL --data DATA                     mAP, top-1 or mean IoU of a model on labelled pictures, as JSON
novelty --normal DIR|VIDEO --out FILE          pictures in which all is well -> a file for the anomaly `novelty`
sign MODEL --key FILE --version N              its manifest, signed, for devices that take new models from a server

Exit codes: 0 done, 2 bad input, 3 the model lost more than its budget, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.cli import guarded
from convert import commands, sign

_COMMANDS = ("build", "inspect", "compare", "evaluate", "novelty", "sign")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and turn its troubles into one line each; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    logging.basicConfig(format="%(message)s")  # to stderr; other people's libraries only from warnings on
    logging.getLogger("convert").setLevel(logging.INFO)
    named = bool(argv) and (argv[0] in _COMMANDS or argv[0] in ("-h", "--help"))
    args = _commands().parse_args(argv) if named else _convert().parse_args(argv)
    return guarded("convert", lambda: commands.within_reason(args.run, args))


def _commands() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found = parser.add_subparsers(metavar="COMMAND", required=True)
    build = found.add_parser("build", help="make the model of a recipe")
    build.add_argument("recipe", type=Path, metavar="RECIPE", help="models/<name>.recipe.toml")
    build.add_argument("--source", type=Path, metavar="ARCHIVE", help="the file that the recipe's [source] means")
    build.add_argument("--calibrate", type=Path, metavar="DIR", help="pictures; find the activation ranges anew")
    build.add_argument("--evaluate", type=Path, metavar="DIR", help="labelled pictures; measure the accuracy anew")
    build.add_argument("--out", type=Path, metavar="DIR", help="where the model goes (default: beside the recipe)")
    build.set_defaults(run=commands.build)
    inspect = found.add_parser("inspect", help="what is inside a .tflite")
    inspect.add_argument("file", type=Path, metavar="FILE")
    inspect.add_argument("--json", action="store_true", help="all of it, as JSON")
    inspect.set_defaults(run=commands.inspect)
    compare = found.add_parser("compare", help="what an int8 model lost against its float one")
    compare.add_argument("float", type=Path, metavar="FLOAT", help="a float .tflite")
    compare.add_argument("int8", type=Path, metavar="INT8", help="a .tflite made of it, by whomever")
    compare.add_argument("--images", type=Path, metavar="DIR", required=True, help="pictures; labelled ones tell more")
    compare.add_argument("--labels", type=Path, metavar="FILE", help="labels of models that carry none, one a line")
    compare.add_argument("--budget", type=float, default=0.02, help="greatest loss (default: %(default)s)")
    compare.set_defaults(run=commands.compare)
    evaluate = found.add_parser("evaluate", help="accuracy on labelled pictures, as JSON")
    evaluate.add_argument("file", type=Path, metavar="MODEL", help="any .tflite that the agent can run")
    evaluate.add_argument("--data", type=Path, metavar="DATA", required=True, help="labelled pictures, see README")
    evaluate.add_argument("--labels", type=Path, metavar="FILE", help="labels of a model that carries none")
    evaluate.set_defaults(run=commands.evaluate)
    _novelty(found.add_parser("novelty", help="know when a place does not look as it does in normal pictures"))
    sign.arguments(found.add_parser("sign", help="a manifest that devices trust; or --new-key"))
    return parser


def _novelty(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--normal", type=Path, metavar="DIR|VIDEO", required=True, help="in which all is well; 50 or so"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="the .tflite to write")
    parser.add_argument("--region", type=_region, default=(0.0, 0.0, 1.0, 1.0), metavar="x0,y0,x1,y1", help="0..1")
    parser.add_argument("--rate", type=float, default=0.01, help="share of normal looks told of (default: %(default)s)")
    parser.add_argument("--vectors", type=int, default=1000, help="of the memory, at most (default: %(default)s)")
    parser.add_argument("--light", type=float, default=0.12, help="share by which it may change (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trunk", type=Path, metavar="MODEL", help="int8 MobileNetV2 .tflite (default: the shipped)")
    parser.set_defaults(run=commands.novelty)


def _convert() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m convert", description="A trained model in, one int8 .tflite out.")
    parser.add_argument("model", type=Path, metavar="MODEL", help=".keras, .h5, SavedModel, .onnx, .pt, .tflite, TF.js")
    parser.add_argument("--calibrate", type=Path, metavar="DIR|VIDEO", help="100 or so pictures of the camera's own")
    parser.add_argument("--evaluate", type=Path, metavar="DATA", help="other pictures, better labelled: what int8 cost")
    parser.add_argument("--size", type=size_of, metavar="WxH", help="px, where the model leaves it open")
    parser.add_argument("--task", help="where the model does not say: detect, classify, segment, pose, embed, ..")
    parser.add_argument("--head", help="the head that reads the outputs, or a TOML file that describes them")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="one a line, where the model carries none")
    parser.add_argument("--range", type=_range, metavar="LOW,HIGH", help="values of pixels 0 and 255: --range=-1,1")
    parser.add_argument("--color", choices=("RGB", "BGR"), help="order of the channels that it was trained on")
    parser.add_argument("--resize", choices=("letterbox", "stretch"), help="how pictures of another shape come to it")
    parser.add_argument("--edgetpu", action="store_true", help="int8 throughout; say where an Edge TPU would stop")
    parser.add_argument("--budget", type=float, default=0.02, help="greatest loss: mAP, top-1, mIoU (default: .02)")
    parser.add_argument("--accept-loss", action="store_true", help="write the model beyond its budget too, saying so")
    parser.add_argument("--trust", action="store_true", help="run code that is inside the model: pickles")
    parser.add_argument("--slices", type=Path, metavar="CSV", help="lines image,group: figures by group in the report")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: models/NAME.tflite")
    parser.set_defaults(run=commands.convert)
    return parser


def _region(text: str) -> tuple[float, float, float, float]:
    """0.1,0.2,0.5,0.6, for argparse."""
    try:
        x1, y1, x2, y2 = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be x0,y0,x1,y1 between 0 and 1, not {text}") from None
    return x1, y1, x2, y2


def _range(text: str) -> tuple[float, float]:
    """-1,1, for argparse: real values of pixels 0 and 255."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = 0.0
    if not (math.isfinite(high - low) and low < high):
        raise argparse.ArgumentTypeError(f"must be LOW,HIGH, two numbers of which the second is greater, not {text}")
    return low, high


def size_of(text: str) -> tuple[int, int]:
    """416x320, for argparse: width, height px."""
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and (height or width).isdigit() and int(width) and int(height or width)):
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT in px, not {text}")
    return int(width), int(height or width)


if __name__ == "__main__":
    sys.exit(main())
