"""python -m convert build | inspect | evaluate.

build RECIPE --source ARCHIVE                  rebuild from the recorded ranges: the same bytes, no pictures
build RECIPE --source ARCHIVE --calibrate DIR  find the ranges anew; --evaluate DIR measures mAP anew
inspect FILE                                   what is inside a .tflite, and what its card says
evaluate FILE --data DIR                       COCO mAP on labelled pictures (YOLO layout), as JSON
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from agent import modelfile
from agent.data import LookoutError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and turn its troubles into one line each; returns the exit code."""
    logging.basicConfig(format="%(message)s")  # to stderr; other people's libraries only from warnings on
    logging.getLogger("convert").setLevel(logging.INFO)
    args = _parser().parse_args(argv)
    try:
        args.run(args)
    except LookoutError as error:
        print(f"convert: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        sys.stderr.close()
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m convert", description="A trained model in, one int8 .tflite out.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    build = commands.add_parser("build", help="make the model of a recipe")
    build.add_argument("recipe", type=Path, metavar="RECIPE", help="models/<name>.recipe.toml")
    build.add_argument("--source", type=Path, metavar="ARCHIVE", help="the file that the recipe's [source] means")
    build.add_argument("--calibrate", type=Path, metavar="DIR", help="pictures; find the activation ranges anew")
    build.add_argument("--evaluate", type=Path, metavar="DIR", help="labelled pictures; measure the accuracy anew")
    build.add_argument("--out", type=Path, metavar="DIR", help="where the model goes (default: beside the recipe)")
    build.set_defaults(run=_build)
    inspect = commands.add_parser("inspect", help="what is inside a .tflite")
    inspect.add_argument("file", type=Path, metavar="FILE")
    inspect.set_defaults(run=_inspect)
    evaluate = commands.add_parser("evaluate", help="COCO mAP on labelled pictures, as JSON")
    evaluate.add_argument("file", type=Path, metavar="FILE")
    evaluate.add_argument("--data", type=Path, metavar="DIR", required=True, help="images/ and labels/, YOLO layout")
    evaluate.add_argument("--labels", type=Path, metavar="FILE", help="labels of a model that carries none")
    evaluate.set_defaults(run=_evaluate)
    return parser


def _build(args: argparse.Namespace) -> None:
    from convert.build import Given, build  # noqa: PLC0415  a command loads only what it needs

    path = build(Given(args.recipe, args.source, args.calibrate, args.evaluate, args.out))
    print(f"{path}  {path.stat().st_size} bytes  flatbuffer sha256 {modelfile.read(path).sha256}")


def _inspect(args: argparse.Namespace) -> None:
    from convert import graph  # noqa: PLC0415

    file = modelfile.read(args.file)
    print(f"file      {args.file.name}, {args.file.stat().st_size} bytes, flatbuffer sha256 {file.sha256}")
    print("\n".join(graph.describe(graph.read(args.file.read_bytes()))))
    if file.card is None:
        print("card      none: a file of another maker")
        return
    card = file.card
    print(f"card      {card.task}, head {card.head}, {len(card.labels)} labels, licence {card.licence or 'unknown'}")
    print(
        f"          input {card.input.size[0]} x {card.input.size[1]} {card.input.color}, {card.input.resize},"
        f" real values {card.input.range[0]:g} to {card.input.range[1]:g}"
    )
    print(f"          {card.quant.scheme}, ranges {card.quant.ranges or 'unknown'}, confidence {card.confidence:g}")
    if file.report:
        print(f"report    {json.dumps(file.report)}")


def _evaluate(args: argparse.Namespace) -> None:
    from agent.detect.model import Model  # noqa: PLC0415
    from convert import calibration, compare, dataset  # noqa: PLC0415

    model = Model(args.file, labels_file=args.labels)
    paths = calibration.pictures(args.data)
    recording = compare.record(model, paths)
    truth = dataset.truth(args.data, paths, [seen.size for seen in recording.seen], model.card.labels)
    result = compare.accuracy(recording, truth) | calibration.identity(paths)
    print(json.dumps({"model": args.file.name, "model_sha256": model.sha256} | result))


if __name__ == "__main__":
    sys.exit(main())
