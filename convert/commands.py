"""What each command does, when all is given; __main__ says how it is asked for."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent import config, modelfile
from agent.detect.model import Model
from agent.modelfile import Card, ModelError
from convert import ConvertError, report, sources, steps
from convert import build as recipes
from convert import novelty as normality
from convert import ready as ready_made
from convert.accuracy import compare as boxes
from convert.accuracy import dataset, tasks
from convert.accuracy import slices as by_group
from convert.accuracy.compare import Recording
from convert.int8 import calibration
from convert.sources import FloatModel, Request
from convert.steps import Job, Outcome
from convert.tflite import graph, inspection
from convert.tuning import gate, scoring

log = logging.getLogger(__name__)
_REFUSED = 3


def within_reason(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command; what the machine refuses (memory, a full disk) is told in one line as well."""
    try:
        return run(args)
    except MemoryError:
        raise ConvertError("not enough memory; fewer or smaller pictures, or a smaller --size, need less") from None
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise ConvertError(f"{error.filename or 'a temporary file'}: {error.strerror or error}") from error


def convert(args: argparse.Namespace) -> int:
    """MODEL -> int8, or a card for a model that is int8 already."""
    if args.budget < 0 or args.budget > 1:
        raise ConvertError(f"--budget {args.budget:g}: a loss of accuracy lies between 0 and 1")
    out: Path = args.out or Path("models") / f"{_stem(args.model)}.tflite"
    if out.suffix != ".tflite":
        raise ConvertError(f"--out {out}: must end in .tflite")
    if out.resolve() == args.model.resolve():
        raise ConvertError(f"--out {out}: is the model itself; name another file")
    groups = by_group.read(args.slices) if args.slices else {}
    known = {key: value for key in ("range", "color", "resize") if (value := getattr(args, key)) is not None}
    source = sources.read(Request(args.model, args.size, args.task, args.head, _labels(args.labels), args.trust, known))
    log.info("source     %s: %s, head %s", args.model.name, source.card.task, source.card.head)
    job = Job(
        out.stem, out.parent, source, calibrate=args.calibrate, evaluate=args.evaluate, budget=args.budget,
        edgetpu=args.edgetpu, accept_loss=args.accept_loss, page=report.page, groups=groups,
        keras=args.model if args.model.suffix in (".keras", ".h5") else None,
    )  # fmt: skip
    if source.ready:
        _say(ready_made.carded(job))
        return 0
    return _told(steps.run(job), args.edgetpu)


def build(args: argparse.Namespace) -> int:
    """A recipe's model."""
    given = recipes.Given(args.recipe, args.source, args.calibrate, args.evaluate, args.out)
    return _told(recipes.build(given), False)


def inspect(args: argparse.Namespace) -> int:
    """What is inside a file."""
    found = inspection.look(args.file)
    _say(json.dumps(inspection.as_json(found)) if args.json else "\n".join(inspection.lines(found)))
    return 0


def compare(args: argparse.Namespace) -> int:
    """What somebody's int8 model lost; JSON, and exit code 3 beyond the budget."""
    source = _float(args.float, _labels(args.labels))
    paths, read = calibration.pictures(args.images), calibration.Gallery()
    reference = scoring.record(source.model, source.card, paths, read)
    recording = _recorded(args.int8, args.labels, source.card, paths, read)
    if tasks.method(recording.card) != tasks.method(source.card):
        raise ConvertError(f"{args.int8.name} is for {recording.card.task}, {args.float.name} for {source.card.task}")
    truth = dataset.of(args.images, paths, reference, tasks.method(source.card))
    found = {"agreement": tasks.agreements(reference, recording)}
    if truth is not None:
        found["accuracy"] = tasks.accuracies(reference, recording, truth)
    verdict = gate.judge(found, args.budget)
    _say(json.dumps({"float": args.float.name, "int8": args.int8.name} | found | {"verdict": verdict.report()}))
    if not verdict.within:
        log.error("refused: %s", verdict.sentence())
    return 0 if verdict.within else _REFUSED


def evaluate(args: argparse.Namespace) -> int:
    """Accuracy of a model on labelled pictures, as JSON."""
    model = Model(args.file, labels_file=args.labels)
    paths = calibration.pictures(args.data)
    recording = boxes.record(model, paths)
    truth = dataset.of(args.data, paths, recording, tasks.method(model.card))
    if truth is None:
        raise ConvertError(f"labels {args.data}: there are none for task {model.card.task!r}")
    result = tasks.accuracy(recording, truth) | calibration.identity(paths)
    _say(json.dumps({"model": args.file.name, "model_sha256": model.sha256} | result))
    return 0


def novelty(args: argparse.Namespace) -> int:
    """A file that knows how a place looks when all is well."""
    trunk = args.trunk or config.shipped(config.DEFAULT_MODEL)
    given = normality.Given(args.normal, args.out, trunk, args.region, args.rate, args.seed, args.vectors, args.light)
    _say(json.dumps({"model": str(args.out), "bytes": 0} | normality.build(given) | {"bytes": args.out.stat().st_size}))
    return 0


def _say(line: object) -> None:
    print(line)  # noqa: T201  what a program reads; all else goes to the log


def _told(outcome: Outcome, edgetpu: bool) -> int:
    """Say how a conversion ended; the exit code."""
    verdict, path = outcome.verdict, outcome.path
    if verdict.kept:
        word = "accepted by --accept-loss" if verdict.accepted else "within its budget"
        log.info("verdict    %s: %s", word, verdict.sentence())
        _say(f"{path}  {path.stat().st_size} bytes  flatbuffer sha256 {outcome.known.sha256}")
        return 0
    log.error("refused: %s; kept as %s", verdict.sentence(), path)
    for line in gate.advice(outcome.known.report, edgetpu):
        log.error("         %s", line)
    return _REFUSED


def _float(path: Path, labels: tuple[str, ...]) -> FloatModel:
    """The reference of a comparison. Raises ConvertError for one that is no float model."""
    source = sources.read(Request(path, labels=labels))
    if source.ready or not graph.float_operators(graph.read(source.model)):
        raise ConvertError(f"{path}: is int8 already; the first model of a comparison is the float one")
    return source


def _recorded(path: Path, labels: Path | None, card: Card, paths: list[Path], read: scoring.Read) -> Recording:
    """What a model says of pictures; one that nobody described is read by the float model's card."""
    try:
        model = Model(path, labels_file=labels)
    except ModelError:
        if not path.is_file() or modelfile.read(path).card is not None:
            raise
        plain = msgspec.structs.replace(card, outputs=card.outputs, sha256="")
        with scoring.loaded(path.read_bytes(), plain) as model:
            tasks.reader(model)
            return boxes.record(model, paths, read)
    return boxes.record(model, paths, read)


def _labels(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    labels = modelfile.read_labels(path, path)
    if not labels:
        raise ConvertError(f"labels {path}: is empty")
    return labels


def _stem(path: Path) -> str:
    return path.resolve().name.split(".")[0] + "_int8"
