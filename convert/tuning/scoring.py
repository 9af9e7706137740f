"""Candidates: the int8 models that ranges give, each run on pictures held out and compared with the float model."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent import modelfile
from agent.data import Array
from agent.detect.model import Model
from agent.modelfile import Card
from convert.accuracy import compare, tasks
from convert.accuracy.compare import Recording
from convert.accuracy.tasks import Agreement
from convert.int8 import calibration, equalise, quantize, ranges
from convert.int8.ranges import Ranges
from convert.tflite import finalise, graph

log = logging.getLogger(__name__)
INPUT = "image"  # the contract's name of the input
Read = Callable[[Path], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One way to int8."""

    rule: str
    ranges: Ranges
    levels: dict[str, tuple[float, ...]] = field(default_factory=dict)  # channels equalised, see convert.int8.equalise
    stay: tuple[str, ...] = ()  # operators left in float, by their first output


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A plan, and what it was worth."""

    plan: Plan
    recording: Recording
    agreement: Agreement


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Makes candidates of one float model, and scores them on one list of pictures."""

    model: bytes
    card: Card
    held: Sequence[Path]
    reference: Recording
    read: Read

    def candidate(self, plan: Plan) -> Candidate:
        """Quantise, run, compare."""
        recording = record(int8(self.model, self.card, plan), self.card, self.held, self.read)
        return Candidate(plan, recording, tasks.agreement(self.reference, recording))

    def by_rules(self, statistics: calibration.Statistics, rules: Sequence[str]) -> list[Candidate]:
        """One by each rule, in their order."""
        silu = ranges.into_silu(graph.read(self.model))
        found = []
        for rule in rules:
            if rule.endswith("-silu") and not silu:
                continue  # it would repeat the rule without
            one = self.candidate(Plan(rule, ranges.choose(statistics, rule, silu)))
            log.info("candidate  %-18s %s", rule, shown(one.agreement))
            found.append(one)
        return found


def shown(agreement: Agreement) -> str:
    """Figures for a log line."""
    return ", ".join(f"{name} {value:.4f}" for name, value in agreement.report().items())


def int8(model: bytes, card: Card, plan: Plan) -> bytes:
    """The int8 model, mended, not yet proven; the input's range is the card's, whatever was seen."""
    return _tidy(_raw(model, card, plan), card)


def proven(model: bytes, card: Card, plan: Plan) -> bytes:
    """The int8 model, mended and proven to answer as it did before mending. Raises ConvertError."""
    raw = _raw(model, card, plan)
    flatbuffer = _tidy(raw, card)
    finalise.check(raw, flatbuffer, {output.name: output.name for output in card.outputs})
    return flatbuffer


def operators(model: bytes, plan: Plan) -> list[str]:
    """First outputs of the operators that a plan quantises, in the graph's order."""
    given = graph.read(equalise.apply(model, plan.levels) if plan.levels else model)
    return [given.tensors[o.outputs[0]].name for o in given.operators]


def _raw(model: bytes, card: Card, plan: Plan) -> bytes:
    model = equalise.apply(model, plan.levels) if plan.levels else model
    return quantize.static_int8(model, plan.ranges | {INPUT: ranges.of_input(card.input.range)}, plan.stay)


def _tidy(raw: bytes, card: Card) -> bytes:
    return finalise.tidy(raw, {INPUT: INPUT}, {output.name: output.name for output in card.outputs})


@contextmanager
def loaded(flatbuffer: bytes, card: Card) -> Iterator[Model]:
    """A model that has no file yet, as the agent would load it."""
    with tempfile.TemporaryDirectory(prefix="lookout-convert-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(modelfile.pack(flatbuffer, card)[0])
        yield Model(path)


def record(flatbuffer: bytes, card: Card, paths: Sequence[Path], read: Read) -> Recording:
    """What a model that has no file yet says of pictures."""
    with loaded(flatbuffer, card) as model:
        return compare.record(model, paths, read)
