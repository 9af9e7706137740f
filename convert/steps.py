"""The steps from a float model to a file that the agent runs, in order; whatever made the float model.

    look at the pictures -> calibrate -> candidates -> score -> search -> finalise -> check -> gate -> write

A job with recorded ranges needs no pictures. What pictures contribute (ranges, scores, accuracy) is one Calibration.
A model that lost more than its budget is kept as <name>.rejected.tflite, not as <name>.tflite.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent import modelfile
from agent.modelfile import Card, Quant
from convert import ConvertError, output
from convert.accuracy import dataset, tasks
from convert.accuracy.compare import Recording
from convert.accuracy.evidence import Evidence, Truth
from convert.int8 import calibration, domain, quantize, ranges
from convert.int8.ranges import Calibration
from convert.progress import Progress
from convert.sources import FloatModel
from convert.tflite import edgetpu, graph, runtimes
from convert.tuning import cures, gate, scoring
from convert.tuning.gate import Verdict
from convert.tuning.scoring import Candidate, Plan, Trials

log = logging.getLogger(__name__)
HELD = 64  # pictures that score candidates, at most


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One conversion."""

    name: str  # of the files made
    out: Path  # folder for them
    source: FloatModel
    rules: tuple[str, ...] = tuple(ranges.RULES)  # candidates
    calibrate: Path | None = None  # pictures, or a video: find the ranges anew
    evaluate: Path | None = None  # other pictures, better with labels: measure what int8 cost
    known: Calibration | None = None  # recorded ranges, where nothing is to be found anew
    images: int = 64  # that calibrate, at most, and at most two thirds of those there are
    seed: int = 0
    budget: float = 0.02  # see convert.accuracy.tasks
    edgetpu: bool = False  # no operator may stay in float
    accept_loss: bool = False
    page: Callable[[Evidence], bytes] | None = None  # makes the report
    groups: dict[str, str] | None = None  # for the report: picture's file name -> group
    keras: Path | None = None  # for the report
    expected: str = ""  # where `known` stands, for messages


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of a job."""

    path: Path  # of the model, rejected or not
    verdict: Verdict
    known: Calibration  # of this very model


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Both models on the same pictures, none of which calibrated, and the truth of them."""

    paths: list[Path]
    reference: Recording
    recording: Recording
    truth: Truth | None


def run(job: Job) -> Outcome:
    """Do it. Raises LookoutError, with nothing written, for what cannot be converted."""
    output.writable(job.out)
    for note in job.source.notes:
        log.info("note       %s", note)
    with scoring.loaded(job.source.model, job.source.card) as model:
        tasks.reader(model)  # a card that does not fit is told now, not after minutes
    read = calibration.Gallery()
    with ExitStack() as stack:
        groups = [stack.enter_context(calibration.gathered(p)) if p else [] for p in (job.calibrate, job.evaluate)]
        used, others = _looked_at(job, groups[0], groups[1], read)
        known, seen = _calibrated(job, used, read) if used else (_recorded(job), None)
        flatbuffer = _finished(job.source, known, job.edgetpu)
        if others:
            seen = _seen(job, flatbuffer, others, read)
            known = _measured(known, seen)
        verdict = gate.judge(known.report, job.budget, job.accept_loss)
        if used or others:
            known = _reported(known, flatbuffer, verdict)
        known = _of_this(job, known, flatbuffer)
        path = _written(job, flatbuffer, known, verdict, seen)
    return Outcome(path, verdict, known)


def _of_this(job: Job, known: Calibration, flatbuffer: bytes) -> Calibration:
    """The record of this very model. Raises ConvertError where it was measured on another."""
    sha256, here = hashlib.sha256(flatbuffer).hexdigest(), job.source.tools | quantize.tools()
    if known.sha256 not in ("", sha256):
        why = f"made with {_tools(known.tools)}; here is {_tools(here)}: install those"
        if known.tools == here:
            why = "made with the same tools, so another kind of CPU rounds otherwise: copy the file"
        raise ConvertError(
            f"the rebuilt model is {sha256[:8]}.., {job.expected} was measured on {known.sha256[:8]}.. {why},"
            " or --calibrate anew"
        )
    return msgspec.structs.replace(known, sha256=sha256, tools=here)


def _tools(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _looked_at(
    job: Job, paths: list[Path], others: list[Path], read: calibration.Gallery
) -> tuple[list[Path], list[Path]]:
    """The pictures that can be read, after saying what is wrong with them."""
    said: list[str] = []
    if others:
        others, lines = domain.readable(others, read)
        said += [f"evaluate: {line}" for line in lines]
    if paths:
        paths, lines = domain.readable(paths, read)
        said += [*lines, *domain.findings(paths, read)]
    if paths and others:
        wanted = job.source.card.input
        distance, lines = domain.far_apart(job.source.model, wanted, paths, others, read)
        log.info("pictures   %d to calibrate and score, %d to evaluate; %.2f apart", len(paths), len(others), distance)
        said += lines
    for line in said:
        log.warning("pictures   %s", line)
    return paths, others


def _calibrated(job: Job, paths: list[Path], read: calibration.Gallery) -> tuple[Calibration, Seen]:
    """The best ranges of the job's rules, cured by a float region where they lose too much."""
    paths = calibration.shuffle(paths, job.seed)
    count = min(job.images, len(paths) * 2 // 3)
    used, held = paths[:count], paths[count : count + HELD]
    log.info("calibrate  on %d pictures, score on %d others", len(used), len(held))
    with Progress("calibrate", 2 * len(used)) as progress:
        statistics = calibration.collect(job.source.model, job.source.card.input, used, progress.counting(read))
    reference = scoring.record(job.source.model, job.source.card, held, read)
    trials = scoring.Trials(job.source.model, job.source.card, held, reference, read)
    candidates = trials.by_rules(statistics, job.rules)
    best = max(candidates, key=lambda c: c.agreement.score)
    report: dict[str, Any] = {"candidates": [{"ranges": c.plan.rule} | c.agreement.report() for c in candidates]}
    if best.agreement.loss > job.budget:
        best, searched = _cured(job, trials, candidates, used)
        report |= searched
    report["agreement"] = tasks.agreements(reference, best.recording) | calibration.identity(held)
    plan, identity = best.plan, calibration.identity(used)
    stay, levels = plan.stay or msgspec.UNSET, plan.levels or msgspec.UNSET
    known = Calibration(plan.rule, identity, "", {}, report, plan.ranges, stay=stay, levels=levels)
    return known, Seen(held, reference, best.recording, None)


def _cured(job: Job, trials: Trials, candidates: list[Candidate], used: list[Path]) -> tuple[Candidate, dict[str, Any]]:
    """A few operators in float; int8 throughout where those are forbidden, or do not do. And the account of it."""
    best = sick = max(candidates, key=lambda c: c.agreement.score)
    account = {}
    if not job.edgetpu:
        best, found, names = cures.floated(trials, candidates, sick, job.budget)
        log.info("search     %s: %s", gate.region(found.best.region, names), scoring.shown(best.agreement))
        account = {"search": gate.account(found, names)}
    if best.agreement.loss > job.budget:
        best = max(best, cures.equalised(trials, sick, used), key=lambda c: c.agreement.score)
    return best, account


def _recorded(job: Job) -> Calibration:
    if job.known is None:
        raise ConvertError("nothing to find the ranges on; give --calibrate DIR with pictures, or a video")
    return job.known


def _finished(source: FloatModel, known: Calibration, for_edgetpu: bool) -> bytes:
    """The int8 model, proven here and in what other runtimes there are."""
    plan = Plan(known.rule, known.ranges, known.levels or {}, known.stay or ())
    flatbuffer = scoring.proven(source.model, source.card, plan)
    elsewhere = runtimes.elsewhere(flatbuffer)
    if elsewhere:
        log.info(
            "runtimes   tflite_runtime %s: %s",
            elsewhere["tflite_runtime"],
            "the same bits" if elsewhere["identical"] else f"at most {elsewhere['apart']:.0f} steps apart",
        )
    if for_edgetpu:
        log.info("edgetpu    %s", edgetpu.placement(graph.read(flatbuffer)).summary())
    return flatbuffer


def _seen(job: Job, flatbuffer: bytes, paths: list[Path], read: calibration.Gallery) -> Seen:
    source = job.source
    with Progress("evaluate", 2 * len(paths)) as progress:
        reading = progress.counting(read)
        reference = scoring.record(source.model, source.card, paths, reading)
        recording = scoring.record(flatbuffer, source.card, paths, reading)
    folder = job.evaluate
    truth = None
    if folder and folder.is_dir():
        truth = dataset.of(folder, paths, reference, tasks.method(source.card))
    return Seen(paths, reference, recording, truth)


def _measured(known: Calibration, seen: Seen) -> Calibration:
    """With labels, accuracy; without, agreement, on pictures that chose nothing."""
    identity = calibration.identity(seen.paths)
    if seen.truth is None:
        found = {"agreement": tasks.agreements(seen.reference, seen.recording) | identity}
    else:
        found = {"accuracy": tasks.accuracies(seen.reference, seen.recording, seen.truth) | identity}
    return msgspec.structs.replace(known, report=known.report | found)


def _reported(known: Calibration, flatbuffer: bytes, verdict: Verdict) -> Calibration:
    placement = edgetpu.placement(graph.read(flatbuffer)).report()
    placement.pop("findings", None)
    return msgspec.structs.replace(known, report=known.report | {"edgetpu": placement, "verdict": verdict.report()})


def _written(job: Job, flatbuffer: bytes, known: Calibration, verdict: Verdict, seen: Seen | None) -> Path:
    """Model, sidecar and page, under the name that the verdict allows; the model's path."""
    card = finished_card(job.source, known)
    with scoring.loaded(flatbuffer, card) as ready:
        tasks.reader(ready)  # the agent will accept it
    packed, sidecar = modelfile.pack(flatbuffer, card, known.report)
    path = job.out / f"{job.name}{'' if verdict.kept else '.rejected'}.tflite"
    files = {path.with_suffix(".json"): sidecar, path: packed}
    if seen and job.page:
        evidence = Evidence(
            job.name, card, known.report, job.source.model, flatbuffer, tuple(seen.paths), seen.reference,
            seen.recording, seen.truth, job.groups or {}, job.keras,
        )  # fmt: skip
        files[path.with_suffix(".html")] = job.page(evidence)
    output.write(files)
    return path


def finished_card(source: FloatModel, known: Calibration) -> Card:
    """The source's card, with how it was quantised."""
    quant = Quant("int8", known.rule, known.calibration, known.stay or ())
    about = source.card.source | {"tools": source.tools | quantize.tools()}
    return msgspec.structs.replace(source.card, quant=quant, source=about)
