"""The parts of the page for classifiers: where the choice changed, and what the two models look at there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from agent.cli.detect import read_image
from agent.data import Array
from convert import ConvertError
from convert.accuracy import tasks
from convert.accuracy.evidence import Evidence
from convert.report import charts, explain, pictures
from convert.report.detect import change
from convert.report.markup import Html, figure, section, table, tag

_SHOWN = 6  # pictures that are explained
_ROWS = 20


def parts(evidence: Evidence) -> tuple[list[Html], list[Html]]:
    """Numbers for the top of the page, and its sections."""
    scores = [np.stack(tasks.answers(r)).astype(np.float64) for r in (evidence.reference, evidence.recording)]  # (I, C)
    picks = [s.argmax(axis=1) for s in scores]
    same = float(np.mean(picks[0] == picks[1]))
    note = f"{int((picks[0] != picks[1]).sum())} of {len(picks[0])} pictures changed"
    tiles = [figure("same first choice", f"{same:.1%}", note, "good" if same >= 0.97 else "bad")]
    sections = []
    truth: Any = evidence.truth
    if truth is not None:
        real = np.array([int(t) for t in truth])
        right = [float(np.mean(p == real)) for p in picks]
        lost = right[0] - right[1]
        note = f"float {right[0]:.3f}, {-lost:+.3f}"
        tiles.insert(0, figure("top-1, int8", f"{right[1]:.3f}", note, "good" if lost < 0.02 else "bad"))
        sections.append(_by_class(picks, real, evidence.card.labels))
    sections.append(_shift(scores))
    sections.append(_changed(picks, truth, evidence.card.labels))
    sections.append(_explained(evidence, scores, picks))
    return tiles, sections


def _by_class(picks: list[Array], real: Array, labels: tuple[str, ...]) -> Html:
    rows = []
    for c in range(len(labels)):
        inside = real == c
        if inside.any():
            a, b = (float(np.mean(p[inside] == c)) for p in picks)
            rows.append(
                (b - a, (labels[c], int(inside.sum()), charts.bars([(a, b)])[0], f"{a:.3f}", f"{b:.3f}", change(b - a)))
            )
    rows.sort(key=lambda row: row[0])
    return section(
        "By class",
        charts.KEY,
        table(("class", "pictures", "", "float", "int8", "change"), [row for _, row in rows[: 2 * _ROWS]]),
        lead="The share of each class's pictures that is told right; those that int8 hurts most first.",
    )


def _shift(scores: list[Array]) -> Html:
    """How far the score of float's choice moved."""
    place = np.arange(len(scores[0])), scores[0].argmax(axis=1)
    drift = scores[1][place] - scores[0][place]
    axes = charts.Axes((0.0, 1.0), (0.0, 1.0), (460, 320))
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    points = list(zip(scores[0][place].tolist(), scores[1][place].tolist(), strict=True))
    cloud = charts.cloud(points, axes, axes.frame(ticks, ticks, ("score of float", "score of int8")), "Scores")
    rows = [
        ("in the middle", f"{np.median(drift):+.3f}"),
        ("5% fall further than", f"{np.percentile(drift, 5):+.3f}"),
        ("worst", f"{drift[np.abs(drift).argmax()]:+.3f}"),
    ]
    return section("Scores", tag("div", table(("int8 less float", ""), rows), cloud, class_="two"),
                   lead="The score of the label that float chooses, in both models.")  # fmt: skip


def _changed(picks: list[Array], truth: Any, labels: tuple[str, ...]) -> Html:
    """Which labels turned into which: the change of the confusion matrix, its empty cells left out."""
    turned: Counter[tuple[int, int]] = Counter()
    gained: Counter[tuple[int, int]] = Counter()
    for i, (a, b) in enumerate(zip(picks[0].tolist(), picks[1].tolist(), strict=True)):
        if a != b:
            turned[a, b] += 1
            if truth is not None:
                gained[a, b] += int(b == int(truth[i])) - int(a == int(truth[i]))
    head = ("float says", "int8 says", "pictures", *(("right, gained or lost",) if truth is not None else ()))
    rows = [
        (labels[a], labels[b], n, *((f"{gained[a, b]:+d}",) if truth is not None else ()))
        for (a, b), n in turned.most_common(_ROWS)
    ]
    if not rows:
        return section("Confusion, changed", lead="Nothing: both choose the same label for every picture.")
    return section("Confusion, changed", table(head, rows), lead="What float's choice became, most frequent first.")


def _explained(evidence: Evidence, scores: list[Array], picks: list[Array]) -> Html:
    """Changed pictures; where none changed, those whose score moved furthest."""
    moved = np.abs(scores[0] - scores[1]).max(axis=1) + (picks[0] != picks[1])
    chosen = np.argsort(-moved)[:_SHOWN].tolist()
    images = [read_image(evidence.paths[i]) for i in chosen]
    shown = [(int(picks[0][i]), int(picks[1][i])) for i in chosen]
    own = explain.occlusion(evidence.model, evidence.card, images, [b for _, b in shown])
    says, reference = "occlusion", None
    if evidence.keras is not None:
        try:
            reference, says = explain.grad_cam(evidence.keras, evidence.card, images, [a for a, _ in shown]), "Grad-CAM"
        except ConvertError as error:
            says = f"occlusion, as Grad-CAM could not be had: {error}"
    if reference is None:
        reference = explain.occlusion(evidence.reference_model, evidence.card, images, [a for a, _ in shown])
    rows = []
    for n, i in enumerate(chosen):
        small = pictures.small(images[n], 240)[0]
        a, b = (f"{name}: {evidence.card.labels[c]} {s[i, c]:.0%}" for name, s, c in (
            ("float", scores[0], shown[n][0]), ("int8", scores[1], shown[n][1])))  # fmt: skip
        name = evidence.paths[i].name
        rows.append(tag(
            "div", tag("h3", name), pictures.embedded(small, "the picture", name),
            pictures.embedded(pictures.heated(small, reference[n]), a, f"{name}, {a}"),
            pictures.embedded(pictures.heated(small, own[n]), b, f"{name}, {b}"), class_="pair three",
        ))  # fmt: skip
    return section(
        "What they look at",
        tag("div", *rows, class_="pairs"),
        lead="The pictures whose choice changed, or whose scores moved furthest."
        f" Float by {says}; int8 by occlusion: where a grey patch lowers the score of the chosen label, it is bright.",
    )
