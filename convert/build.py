"""The steps from a trained model to a file that the agent runs, in order.

    source -> cut -> calibrate -> candidates -> score -> finalise -> check -> write

What pictures contribute (ranges, scores, accuracy) is kept in <name>.ranges.json: with it a rebuild needs no
pictures and gives the same bytes, or says that it does not. A model that lost too much is not written.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agent import modelfile
from agent.detect.heads.ssd import Decode, anchors_cxcywh
from agent.detect.model import Model
from agent.modelfile import Card, Output, Quant
from convert import ConvertError, calibration, compare, dataset, finalise, graph, quantize, ranges, sources
from convert.ranges import Calibration, Ranges
from convert.recipe import Accept, Recipe, load, ranges_file

log = logging.getLogger(__name__)
_INPUT = "image"  # the contract's name of the input
_ANCHOR_ERROR = 1e-2  # px that the card's anchors may be off the graph's own
_LEAST_HELD = 16  # pictures that score the candidates


@dataclass(frozen=True, slots=True)
class Given:
    """What the user gave."""

    recipe: Path
    source: Path | None  # the archive
    calibrate: Path | None = None  # pictures: find the ranges anew
    evaluate: Path | None = None  # labelled pictures: measure mAP anew
    out: Path | None = None  # folder for the model; the recipe's by default


def build(given: Given) -> Path:
    """Make the model; its path. Raises LookoutError, and writes nothing, where it cannot or must not."""
    recipe = load(given.recipe)
    model, card = float_model(recipe, given.source)
    kept = ranges_file(given.recipe)
    known = calibrated(recipe, model, card, given.calibrate) if given.calibrate else _recorded(kept)
    flatbuffer = quantised(model, card, known.ranges)
    if given.evaluate:
        report = known.report | {"accuracy": evaluated(model, flatbuffer, card, given.evaluate)}
        known = msgspec.structs.replace(known, report=report)
    known = _same(known, flatbuffer, card, kept)
    judge(recipe.accept, known.report)
    quant = Quant(scheme="int8", ranges=known.rule, calibration=known.calibration)
    card = msgspec.structs.replace(card, quant=quant)
    with loaded(flatbuffer, card) as ready:
        ready.head(card.confidence)  # the agent will accept it: int8 throughout, outputs that its head knows
    packed, sidecar = modelfile.pack(flatbuffer, card, known.report)
    path = (given.out or given.recipe.parent) / f"{recipe.name}.tflite"
    if given.calibrate or given.evaluate:
        write(kept, ranges.to_json(known))
    write(path.with_suffix(".json"), sidecar)
    write(path, packed)
    return path


def float_model(recipe: Recipe, archive: Path | None) -> tuple[bytes, Card]:
    """The source's graph, cut, as float TFLite with the contract's names, and the card so far."""
    source = recipe.archive()
    if archive is None or not archive.is_file():
        where = "not given" if archive is None else f"{archive} is not there"
        raise ConvertError(f"source {source.file}: {where}; `{source.origin}` fetches it, --source names it")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != source.sha256:
        raise ConvertError(
            f"source {archive}: not the file the recipe means (sha256 {source.sha256[:8]}..); fetch it again"
        )
    front_end = sources.get(source.kind)
    try:
        options = msgspec.convert(recipe.options(), front_end.Options)
    except msgspec.ValidationError as error:
        raise ConvertError(f"recipe {recipe.name}: source: {error}") from error
    log.info("source     %s", archive.name)
    found = front_end.read(options, archive, recipe.card.input.size)
    given = graph.read(found.model)
    model = finalise.tidy(found.model, dict.fromkeys(given.inputs, _INPUT), {name: name for name in options.outputs})
    shapes = {name: given.tensors[i].shape for name, i in given.outputs.items()}
    card = Card(
        **{name: getattr(recipe.card, name) for name in recipe.card.__struct_fields__},
        outputs=tuple(Output(name, name, shapes[name]) for name in options.outputs),
        source={
            "file": source.file,
            "sha256": source.sha256,
            "origin": source.origin,
            "tools": found.tools | quantize.tools(),
        },
    )
    if "anchors" in found.constants:
        check_anchors(card, found.constants["anchors"])
    return model, card


def check_anchors(card: Card, constant: Any) -> None:
    """The card's generated anchors are the graph's (1, N, 4) ymin, xmin, ymax, xmax, 0..1. Raises ConvertError."""
    try:
        decode = msgspec.convert(card.decode, Decode)
    except msgspec.ValidationError as error:
        raise ConvertError(f"recipe: card.decode: {error}") from error
    generated = anchors_cxcywh(decode.anchors, card.input.size)
    yxyx = np.asarray(constant, np.float64).reshape(-1, 4) * np.array(card.input.size[::-1] * 2)
    own = np.concatenate([(yxyx[:, :2] + yxyx[:, 2:])[:, ::-1] / 2, (yxyx[:, 2:] - yxyx[:, :2])[:, ::-1]], axis=1)
    if own.shape != generated.shape:
        raise ConvertError(
            f"anchors: the card makes {len(generated)}, the graph has {len(own)}; mend card.decode.anchors"
        )
    off = float(np.abs(own - generated).max())
    if off > _ANCHOR_ERROR:
        raise ConvertError(f"anchors: the card's are up to {off:.3g} px off the graph's; mend card.decode.anchors")
    log.info("anchors    %d, at most %.1g px off the graph's own", len(own), off)


def quantised(model: bytes, card: Card, chosen: Ranges) -> bytes:
    """The int8 model, mended and proven to answer as before; the input's range is the card's, whatever was seen."""
    raw = quantize.static_int8(model, chosen | {_INPUT: ranges.of_input(card.input.range)})
    names = {output.name: output.name for output in card.outputs}
    flatbuffer = finalise.tidy(raw, {_INPUT: _INPUT}, names)
    finalise.check(raw, flatbuffer, names)
    return flatbuffer


def calibrated(recipe: Recipe, model: bytes, card: Card, folder: Path) -> Calibration:
    """Ranges by every rule of the recipe; the one whose model agrees best with float on pictures held out."""
    paths = calibration.shuffle(calibration.pictures(folder), recipe.calibrate.seed)
    used, held = paths[: recipe.calibrate.images], paths[recipe.calibrate.images :]
    if len(held) < _LEAST_HELD:
        raise ConvertError(
            f"images {folder}: {len(paths)}; {recipe.calibrate.images} calibrate and {_LEAST_HELD} more must score"
        )
    log.info("calibrate  on %d pictures, score on %d others", len(used), len(held))
    statistics = calibration.collect(model, card.input, used)
    reference = _record(model, card, held)
    candidates = []
    for rule in recipe.calibrate.rules:
        chosen = ranges.choose(statistics, rule)
        recording = _record(quantised(model, card, chosen), card, held)
        agreement = compare.agreement(reference, recording)
        log.info("candidate  %-18s F1 %.4f, mean IoU %.4f", rule, agreement.f1, agreement.mean_iou)
        candidates.append((agreement.score, rule, chosen, recording, agreement))
    _, rule, chosen, recording, _ = max(candidates, key=lambda c: c[0])
    report = {
        "agreement": compare.agreements(reference, recording) | calibration.identity(held),
        "candidates": [{"ranges": c[1]} | c[4].report() for c in candidates],
    }
    return Calibration(rule, calibration.identity(used), "", {}, report, chosen)


def evaluated(model: bytes, flatbuffer: bytes, card: Card, folder: Path) -> dict[str, Any]:
    """mAP of the float and the int8 model on labelled pictures, and of each one's boxes with the other's scores."""
    paths = calibration.pictures(folder)
    log.info("evaluate   on %d labelled pictures", len(paths))
    reference, recording = _record(model, card, paths), _record(flatbuffer, card, paths)
    truth = dataset.truth(folder, paths, [seen.size for seen in reference.seen], card.labels)
    return compare.accuracies(reference, recording, truth) | calibration.identity(paths)


def judge(accept: Accept, report: dict[str, Any]) -> None:
    """Raises ConvertError for a model that lost more than the recipe accepts."""
    try:
        f1 = report["agreement"]["int8"]["f1"]
        accuracy = report.get("accuracy", {})
        loss = accuracy["float32"]["map"] - accuracy["int8"]["map"] if accuracy else 0.0
    except (KeyError, TypeError) as error:
        raise ConvertError(f"ranges: their report has no {error}; find them anew with --calibrate DIR") from error
    if f1 < accept.f1:
        raise ConvertError(
            f"refused: int8 agrees with float to F1 {f1:.3f}, the recipe wants {accept.f1:.3f}; not written"
        )
    if loss > accept.map_loss:
        raise ConvertError(f"refused: int8 costs {loss:.4f} mAP, the recipe allows {accept.map_loss:.4f}; not written")


def write(path: Path, data: bytes) -> None:
    """Replace a file as a whole: a reader sees the old bytes or the new, never a part. Raises ConvertError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConvertError(f"output {path}: {error.strerror}") from error


def _recorded(path: Path) -> Calibration:
    try:
        return ranges.from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise ConvertError(f"ranges {path}: {error.strerror}; find them with --calibrate DIR") from error


def _same(known: Calibration, flatbuffer: bytes, card: Card, path: Path) -> Calibration:
    """The record of this very model. Raises ConvertError where it was measured on another."""
    sha256 = hashlib.sha256(flatbuffer).hexdigest()
    if known.sha256 not in ("", sha256):
        here = card.source["tools"]
        why = f"made with {_shown(known.tools)}; here is {_shown(here)}: install those"
        if known.tools == here:
            why = "made with the same tools, so another kind of CPU rounds otherwise: copy the file"
        raise ConvertError(
            f"the rebuilt model is {sha256[:8]}.., {path.name} was measured on {known.sha256[:8]}.. {why},"
            " or --calibrate anew"
        )
    return msgspec.structs.replace(known, sha256=sha256, tools=card.source["tools"])


def _shown(tools: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in tools.items())


@contextmanager
def loaded(flatbuffer: bytes, card: Card) -> Iterator[Model]:
    """A model that has no file yet, as the agent would load it."""
    with tempfile.TemporaryDirectory(prefix="lookout-convert-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(modelfile.pack(flatbuffer, card)[0])
        yield Model(path)


def _record(flatbuffer: bytes, card: Card, paths: list[Path]) -> compare.Recording:
    with loaded(flatbuffer, card) as model:
        return compare.record(model, paths)
