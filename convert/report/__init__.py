"""The page that shows what int8 cost: one HTML file, nothing fetched, no script, light and dark.

    page(evidence)     the bytes of report.html

Numbers first, then where they come from: accuracy, classes, threshold, boxes and scores apart, groups of pictures, the
pictures that differ most, the error along the graph, size and time, Edge TPU. What is measured is measured here,
on the recordings; what the recipe measured stands in report.json.
"""

from __future__ import annotations

from types import ModuleType

import msgspec

from convert.accuracy import tasks
from convert.accuracy.evidence import Evidence
from convert.report import classify, depth, detect, groups, segment, speed
from convert.report.markup import Html, document, figure, section, table, tag
from convert.tflite import edgetpu, graph

_SHOWN = 40  # findings of the Edge TPU


def page(evidence: Evidence) -> bytes:
    """The page. Raises ConvertError where a picture or a tool is missing."""
    part = _task(evidence)
    tiles, sections = part.parts(evidence) if part else ([], [])
    by_group = groups.part(evidence) if evidence.groups else None
    placed = edgetpu.placement(graph.read(evidence.model))
    tiles += [*_size_tiles(evidence), _edgetpu_tile(placed)]
    along = depth.shown(depth.along(evidence.reference_model, evidence.model, evidence.card, evidence.paths))
    return document(
        f"{evidence.name}: what int8 cost",
        tag("h1", f"{evidence.name}: what int8 cost"),
        tag("p", _subtitle(evidence), class_="sub"),
        tag("div", *tiles, class_="tiles"),
        by_group,
        *sections,
        along,
        _edgetpu(placed),
        _contract(evidence),
    )


def _task(evidence: Evidence) -> ModuleType | None:
    """Who knows how to show what this head answers with."""
    return {"decode": detect, "scores": classify, "mask": segment}.get(tasks.method(evidence.card))


def _subtitle(evidence: Evidence) -> str:
    card = evidence.card
    size = f"{card.input.size[0]} × {card.input.size[1]}"
    labels = f"{len(card.labels)} labels, " if card.labels else ""
    return (
        f"{card.task}, head {card.head}, {labels}input {size} {card.input.color};"
        f" float and int8 on the same {len(evidence.paths)} pictures, which calibrated neither"
    )


def _size_tiles(evidence: Evidence) -> list[Html]:
    before, after = len(evidence.reference_model), len(evidence.model)
    tiles = [figure("size", _bytes(after), f"float {_bytes(before)}, {after / before:.0%} of it")]
    measured = speed.measure(evidence.reference_model, evidence.model)
    if measured:
        note = f"float {_milliseconds(measured.reference)}; here, 1 thread, {measured.rounds} runs by turns"
        tiles.append(figure("time a picture", _milliseconds(measured.own), note))
    return tiles


def _bytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _milliseconds(value: float) -> str:
    return f"{value:.1f} ms" if value >= 1 else f"{value:.3f} ms"


def _edgetpu_tile(placed: edgetpu.Placement) -> Html:
    share = placed.mapped_macs / max(1, sum(placed.macs))
    return figure("Edge TPU", f"{share:.0%}", "of multiply-adds would map; checked, not compiled")


def _edgetpu(placed: edgetpu.Placement) -> Html:
    rows = [
        (f"#{f.operator} {f.kind}", f.reason + ("" if f.certain else " (perhaps)"), f.cure)
        for f in placed.findings[:_SHOWN]
    ]
    more = len(placed.findings) - len(rows)
    return section(
        "Edge TPU",
        table(("operator", "why it stays on the CPU", "cure"), rows, class_="words") if rows else None,
        tag("p", f"and {more} more: python -m convert inspect --json") if more else None,
        tag("p", "To compile, where the compiler is: ", tag("code", "edgetpu_compiler -s MODEL.tflite")),
        lead=f"{placed.summary()}."
        + (
            f" Parameters take {placed.parameters / 1e6:.1f} MB, more than the chip keeps (about 8)."
            if placed.parameters > edgetpu.CACHE
            else ""
        ),
    )


def _contract(evidence: Evidence) -> Html:
    """Card and report.json, for who wants every number."""
    texts = (("metadata.json", msgspec.to_builtins(evidence.card)), ("report.json", evidence.report))
    return section(
        "In the file",
        *(
            tag(
                "details",
                tag("summary", name),
                tag("pre", tag("code", msgspec.json.format(msgspec.json.encode(data), indent=1).decode())),
            )
            for name, data in texts
        ),
        lead="What the model file says about itself.",
    )
