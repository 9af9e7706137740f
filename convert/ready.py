"""A model that is int8 already: nothing is quantised; it is run, scored where there are labels, and given its card."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec

from agent import modelfile
from agent.modelfile import Quant
from convert import ConvertError, output
from convert.accuracy import dataset, tasks
from convert.int8 import calibration
from convert.sources import FloatModel
from convert.steps import Job
from convert.tflite import graph
from convert.tuning import scoring

log = logging.getLogger(__name__)


def carded(job: Job) -> Path:
    """The file with its card; its path. Raises LookoutError where the agent could not run it."""
    log.info("ready      int8 already: nothing is quantised%s", ", --calibrate is not needed" if job.calibrate else "")
    log.warning("ready      what int8 cost cannot be told without the float model; `compare FLOAT INT8` does")
    output.writable(job.out)
    card = msgspec.structs.replace(job.source.card, quant=_quantised(job.source))
    report: dict[str, Any] = {}
    with scoring.loaded(job.source.model, card) as model:
        tasks.reader(model)
    if job.evaluate:
        paths = calibration.pictures(job.evaluate)
        recording = scoring.record(job.source.model, card, paths, calibration.Gallery())
        truth = dataset.of(job.evaluate, paths, recording, tasks.method(card))
        if truth is None:
            raise ConvertError(f"labels {job.evaluate}: there are none for task {card.task!r}")
        report = {"accuracy": {"int8": tasks.accuracy(recording, truth)} | calibration.identity(paths)}
        log.info("evaluate   %s", report["accuracy"]["int8"])
    packed, sidecar = modelfile.pack(job.source.model, card, report)
    path = job.out / f"{job.name}.tflite"
    output.write({path.with_suffix(".json"): sidecar, path: packed})
    return path


def _quantised(source: FloatModel) -> Quant:
    """What its own card says of the quantiser, and which operators its tensors say are in float."""
    known = graph.read(source.model)
    islands = tuple(known.tensors[o.outputs[0]].name for o in graph.float_operators(known))
    eight = {t.dtype for t in known.tensors if not t.constant} & {"int8", "uint8"}
    return msgspec.structs.replace(
        source.card.quant, scheme="uint8" if eight == {"uint8"} else "int8", float_ops=islands
    )
