"""A recipe's model: its float graph by the recipe, then the same steps as every other model.

What pictures contributed is kept in <name>.ranges.json: with it a rebuild needs no pictures and gives the same bytes,
or says that it does not.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agent.detect.heads.ssd import Decode, anchors_cxcywh
from agent.modelfile import Card, Output
from convert import ConvertError, output, sources, steps
from convert.int8 import ranges
from convert.int8.ranges import Calibration
from convert.recipe import Recipe, load, ranges_file
from convert.sources import FloatModel
from convert.steps import Job, Outcome
from convert.tflite import finalise, graph
from convert.tuning.scoring import INPUT

log = logging.getLogger(__name__)
_ANCHOR_ERROR = 1e-2  # px that the card's anchors may be off the graph's own


@dataclass(frozen=True, slots=True)
class Given:
    """What the user gave."""

    recipe: Path
    source: Path | None  # the archive
    calibrate: Path | None = None  # pictures: find the ranges anew
    evaluate: Path | None = None  # labelled pictures: measure mAP anew
    out: Path | None = None  # folder for the model; the recipe's by default


def build(given: Given) -> Outcome:
    """Make the model. Raises LookoutError, and writes nothing, where it cannot or must not."""
    recipe = load(given.recipe)
    kept = ranges_file(given.recipe)
    known = None if given.calibrate else _recorded(kept)
    job = Job(
        recipe.name,
        given.out or given.recipe.parent,
        float_model(recipe, given.source),
        recipe.calibrate.rules,
        given.calibrate,
        given.evaluate,
        known,
        recipe.calibrate.images,
        recipe.calibrate.seed,
        recipe.accept.budget,
        expected=kept.name,
    )
    outcome = steps.run(job)
    if (given.calibrate or given.evaluate) and outcome.verdict.kept:
        output.write({kept: ranges.to_json(outcome.known)})
    return outcome


def float_model(recipe: Recipe, archive: Path | None) -> FloatModel:
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
    model = finalise.tidy(found.model, dict.fromkeys(given.inputs, INPUT), {name: name for name in options.outputs})
    shapes = {name: given.tensors[i].shape for name, i in given.outputs.items()}
    card = Card(
        **{name: getattr(recipe.card, name) for name in recipe.card.__struct_fields__},
        outputs=tuple(Output(name, name, shapes[name]) for name in options.outputs),
        source={"file": source.file, "sha256": source.sha256, "origin": source.origin},
    )
    if "anchors" in found.constants:
        check_anchors(card, found.constants["anchors"])
    return FloatModel(model, card, found.constants, found.tools)


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


def _recorded(path: Path) -> Calibration:
    try:
        return ranges.from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise ConvertError(f"ranges {path}: {error.strerror}; find them with --calibrate DIR") from error
