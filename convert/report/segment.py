"""The parts of the page for models that label every cell of a grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from agent import overlay
from agent.cli.detect import read_image
from agent.data import Array
from convert.accuracy import tasks
from convert.accuracy.evidence import Evidence
from convert.report import charts, pictures
from convert.report.detect import change
from convert.report.markup import Html, figure, section, table, tag

_WORST = 6


def parts(evidence: Evidence) -> tuple[list[Html], list[Html]]:
    """Numbers for the top of the page, and its sections."""
    reference, own = tasks.answers(evidence.reference), tasks.answers(evidence.recording)
    same = float(np.mean([np.mean(a == b) for a, b in zip(reference, own, strict=True)]))
    tiles = [figure("cells that agree", f"{same:.1%}", "of int8 with float")]
    truth: Any = evidence.truth
    classes = len(evidence.card.labels)
    sections = []
    if truth is None:
        by_class = iou(reference, own, classes)
        tiles.append(figure("mean IoU with float", f"{_mean(by_class):.3f}", "over the classes that either sees"))
        rows = [(evidence.card.labels[c], f"{by_class[c]:.3f}") for c in _order(by_class)]
        sections.append(section("By class", table(("class", "IoU with float"), rows), lead="There are no labels."))
    else:
        real = [tasks.on_grid(np.asarray(t), m.shape) for t, m in zip(truth, own, strict=True)]
        pair = [iou(real, found, classes) for found in (reference, own)]
        there = np.unique(np.concatenate([m[m >= 0] for m in real])) if real else np.zeros(0, int)
        means = [_mean(p[there]) for p in pair]
        note = f"float {means[0]:.3f}, {means[1] - means[0]:+.3f}"
        tiles.insert(
            0, figure("mean IoU, int8", f"{means[1]:.3f}", note, "good" if means[0] - means[1] < 0.02 else "bad")
        )
        sections.append(_by_class(pair, evidence.card.labels))
    sections.append(_worst(evidence, reference, own))
    return tiles, sections


def iou(truth: list[Array], found: list[Array], classes: int) -> Array:
    """(C,) over all pictures: cells of the class in both by cells in either; nan where in neither; -1 is no class."""
    both, either = np.zeros(classes), np.zeros(classes)
    for a, b in zip(truth, found, strict=True):
        counted = a >= 0
        x, y = a[counted], b[counted]
        inside = np.bincount(x[x == y], minlength=classes)[:classes]
        both += inside
        either += np.bincount(x, minlength=classes)[:classes] + np.bincount(y, minlength=classes)[:classes] - inside
    return np.asarray(np.divide(both, either, out=np.full(classes, np.nan), where=either > 0))


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 1.0


def _order(values: Array) -> list[int]:
    """Classes that are there, least first."""
    return [int(c) for c in np.argsort(values) if np.isfinite(values[c])]


def _by_class(pair: list[Array], labels: tuple[str, ...]) -> Html:
    rows = []
    for c in _order(pair[1] - pair[0]):
        a, b = float(pair[0][c]), float(pair[1][c])
        rows.append((labels[c], charts.bars([(a, b)])[0], f"{a:.3f}", f"{b:.3f}", change(b - a, -0.05)))
    return section(
        "By class",
        charts.KEY,
        table(("class", "", "float IoU", "int8 IoU", "change"), rows),
        lead="Overlap of the labelled and the found area, over all pictures; those that int8 hurts most first.",
    )


def _worst(evidence: Evidence, reference: list[Array], own: list[Array]) -> Html:
    apart = np.array([np.mean(a != b) for a, b in zip(reference, own, strict=True)])
    colors = np.array([overlay.color_of(c) for c in range(len(evidence.card.labels))], np.uint8)
    shown = []
    for place in [i for i in np.argsort(-apart)[:_WORST].tolist() if apart[i] > 0]:
        path = evidence.paths[place]
        image, _ = pictures.small(read_image(path))
        both = [
            pictures.embedded(
                pictures.painted(image, _on_picture(evidence, place, m), colors), name, f"{path.name}, {name}"
            )
            for name, m in (("float", reference[place]), ("int8", own[place]))
        ]
        shown.append(
            tag("div", tag("h3", f"{path.name}: {apart[place]:.1%} of the cells differ"), *both, class_="pair")
        )
    return section(
        "Pictures that differ most",
        tag("div", *shown, class_="pairs"),
        lead=None if shown else "None: every cell is the same.",
    )


def _on_picture(evidence: Evidence, place: int, mask: Array) -> Array:
    """The part of the mask that the picture takes up: a letterbox has bands around it."""
    seen = evidence.recording.seen[place]
    width, height = evidence.card.input.size
    rows, columns = mask.shape
    cells = []
    for axis, many, length in ((0, columns, width), (1, rows, height)):
        start = seen.placement.offset[axis] * many / length
        stop = (seen.placement.offset[axis] + seen.size[axis] * seen.placement.scale[axis]) * many / length
        first = min(many - 1, max(0, round(start)))
        cells.append(slice(first, max(first + 1, round(stop))))
    return mask[cells[1], cells[0]]
