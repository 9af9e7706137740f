"""What a .tflite is, for a reader and as JSON: operators, tensors, scales, float islands, Edge TPU, contract."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from agent import modelfile
from agent.data import LookoutError
from agent.modelfile import Card, ModelFile
from convert import ConvertError
from convert.tflite import edgetpu, graph
from convert.tflite.edgetpu import Placement
from convert.tflite.graph import Graph

_SHOWN = 12  # rows of a long list that are shown
_LARGEST = 1 << 30  # bytes of a file that is read at all


class Inspection(msgspec.Struct, frozen=True):
    """All that is known of a file without running it."""

    file: ModelFile
    size: int  # bytes
    graph: Graph
    placement: Placement


def look(path: Path) -> Inspection:
    """Read a file. Raises LookoutError, one line, for one that is not a sound .tflite."""
    if path.is_file() and path.stat().st_size > _LARGEST:
        raise ConvertError(f"model {path}: larger than {_LARGEST >> 20} MB; refused")
    try:
        file = modelfile.read(path)
    except LookoutError:
        raise
    except Exception as error:  # a ZIP behind the flatbuffer that zlib, zipfile or JSON will not have
        raise ConvertError(f"model {path}: its metadata cannot be read ({type(error).__name__})") from error
    data = path.read_bytes()
    try:
        given = graph.read(data)
    except ConvertError as error:
        raise ConvertError(f"model {path}: {error}") from error
    return Inspection(file, len(data), given, edgetpu.placement(given))


def lines(found: Inspection) -> list[str]:
    """For a reader; names come from the file, so what a terminal would obey in them is shown as a question mark."""
    name = found.file.path.name
    shown = [f"file      {name}, {found.size} bytes, flatbuffer sha256 {found.file.sha256}"]
    shown += graph.describe(found.graph)
    shown += _scales(found.graph)
    shown += _edgetpu(found)
    shown += _card(found.file.card)
    shown += _report(found.file.report or {})
    return ["".join(c if c.isprintable() else "?" for c in line) for line in shown]


def as_json(found: Inspection) -> dict[str, Any]:
    """The same, and every tensor, as plain data."""
    given = found.graph
    return {
        "file": found.file.path.name,
        "bytes": found.size,
        "sha256": found.file.sha256,
        "inputs": {name: msgspec.to_builtins(given.tensors[i]) for name, i in given.inputs.items()},
        "outputs": {name: msgspec.to_builtins(given.tensors[i]) for name, i in given.outputs.items()},
        "operators": [msgspec.to_builtins(o) for o in given.operators],
        "tensors": [msgspec.to_builtins(t) for t in given.tensors],
        "float_operators": [given.operators.index(o) for o in graph.float_operators(given)],
        "edgetpu": found.placement.report(),
        "card": msgspec.to_builtins(found.file.card),
        "report": found.file.report,
    }


def _scales(given: Graph) -> list[str]:
    scaled = [t for t in given.tensors if t.scales and not t.constant]
    if not scaled:
        return ["scales    none: nothing in it is quantised"]
    channels = sum(len(t.scales) > 1 for t in given.tensors if t.constant)
    low, high = (pick(scaled, key=lambda t: t.scales[0]) for pick in (min, max))
    return [
        f"scales    {low.scales[0]:.3g} ({low.name[-40:]}) to {high.scales[0]:.3g} ({high.name[-40:]});"
        f" {channels} weights have one a channel"
    ]


def _edgetpu(found: Inspection) -> list[str]:
    placed = found.placement
    shown = [f"edge tpu  {placed.summary()}"]
    if placed.parameters > edgetpu.CACHE:
        shown.append(
            f"          {placed.parameters / 1e6:.1f} MB of parameters, the chip keeps about 8: the rest streams"
        )
    same = Counter((f.kind, f.reason, f.cure, f.certain) for f in placed.findings)
    first = {(f.kind, f.reason, f.cure, f.certain): f.operator for f in reversed(placed.findings)}
    for key, count in list(same.items())[:_SHOWN]:
        kind, reason, cure, certain = key
        many = f" and {count - 1} more" if count > 1 else ""
        shown.append(f"          #{first[key]} {kind}{many}: {reason}{'' if certain else ' (perhaps)'}; {cure}")
    if len(same) > _SHOWN:
        shown.append(f"          .. and {len(same) - _SHOWN} more kinds (--json)")
    return [*shown, f"          to compile: {edgetpu.line(found.file.path)}"]


def _card(card: Card | None) -> list[str]:
    if card is None:
        return ["card      none: a file of another maker"]
    return [
        f"card      {card.task}, head {card.head}, {len(card.labels)} labels, licence {card.licence or 'unknown'}",
        f"          input {card.input.size[0]} x {card.input.size[1]} {card.input.color}, {card.input.resize},"
        f" real values {card.input.range[0]:g} to {card.input.range[1]:g}",
        f"          {card.quant.scheme}, ranges {card.quant.ranges or 'unknown'}, confidence {card.confidence:g}",
    ]


def _report(report: dict[str, Any]) -> list[str]:
    """Numbers of report.json, a line a table of it; a key that is not a number or a table is left to --json."""
    shown = []
    for title, table in report.items():
        if not isinstance(table, dict):
            continue
        words = [f"{k} {v:g}" for k, v in table.items() if isinstance(v, int | float) and not isinstance(v, bool)]
        shown += [f"          {title}: {', '.join(words)}"] if words else []
        for name, row in table.items():
            if isinstance(row, dict):
                words = [f"{k} {v:g}" for k, v in row.items() if isinstance(v, int | float) and not isinstance(v, bool)]
                shown += [f"          {title}, {name}: {', '.join(words)}"] if words else []
    return ["report    " + shown[0].strip(), *shown[1:]] if shown else ["report    none"]
