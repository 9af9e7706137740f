"""The parts of the page for models that find boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agent import overlay
from agent.cli.detect import read_image
from agent.data import Array, Detections
from convert import ConvertError
from convert.accuracy import compare
from convert.accuracy.coco import Coco, coco
from convert.accuracy.compare import Recording
from convert.accuracy.evidence import Evidence
from convert.report import accuracy, charts, pictures
from convert.report.accuracy import Curve
from convert.report.markup import Html, figure, join, section, table, tag

_LEAST = 0.05  # confidence that the curves begin at
_WORST = 6  # pictures shown
_CLASSES = 15  # rows before the rest is folded away
_TITLES = {"map": "mAP@[.5:.95]", "ap50": "AP50", "ap75": "AP75", "small": "small objects (< 32² px)",
           "medium": "medium objects", "large": "large objects (> 96² px)"}  # fmt: skip


def parts(evidence: Evidence) -> tuple[list[Html], list[Html]]:
    """Numbers for the top of the page, and its sections."""
    truth = [t for t in evidence.truth if isinstance(t, Detections)] if evidence.truth is not None else None
    least = min(_LEAST, evidence.card.confidence)
    low = [compare.detections(r, least, iou=evidence.card.iou) for r in (evidence.reference, evidence.recording)]
    clear = [_from(found, compare.CLEAR) for found in low]
    sure = [_from(found, evidence.card.confidence) for found in low]
    tiles, sections = [], []
    objects: int = sum(len(t) for t in truth or [])
    if truth is not None and objects:
        every = [_every(r) for r in (evidence.reference, evidence.recording)]
        classes = len(evidence.card.labels)
        reference, own = (coco(found, truth, classes) for found in every)
        tiles.append(_accuracy_tile(reference, own))
        sections += [_accuracy(reference, own, len(truth)), _by_class(reference, own, evidence.card.labels)]
    real = truth if truth is not None else sure[0]  # without labels: what float finds at the card's threshold
    curves = accuracy.curve(low[0], real), accuracy.curve(low[1], real)
    tiles.append(_threshold_tile(*curves, evidence.card.confidence))
    sections.append(_threshold(*curves, evidence.card.confidence, labelled=truth is not None))
    paired = accuracy.pairs(*clear)
    tiles.append(_agreement_tile(paired))
    sections.append(_apart(paired, evidence.report))
    sections.append(_worst(evidence, sure[0], sure[1], truth))
    return tiles, sections


def _from(found: Sequence[Detections], confidence: float) -> list[Detections]:
    """Those of at least a confidence: what suppression leaves does not depend on anything less sure."""
    return [d[d.confidence >= np.float32(confidence)] for d in found]


def _every(recording: Recording) -> list[Detections]:
    return compare.detections(recording, compare.EVERY, iou=compare.MAP_IOU, multi_label=True)


def _accuracy_tile(reference: Coco, own: Coco) -> Html:
    lost = reference.figures["map"] - own.figures["map"]
    note = f"float {reference.figures['map']:.3f}, {-lost:+.3f}"
    return figure("mAP@[.5:.95], int8", f"{own.figures['map']:.3f}", note, "good" if lost < 0.02 else "bad")


def change(value: float, bad: float = -0.02) -> Html:
    """A signed difference; from `bad` down in red, from as much up in green."""
    kind = "bad" if value <= bad else "good" if value >= -bad else None
    return tag("span", f"{value:+.3f}" if np.isfinite(value) else "", class_=kind)


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "none here"


def _accuracy(reference: Coco, own: Coco, many: int) -> Html:
    rows = []
    for name, title in _TITLES.items():
        a, b = reference.figures[name], own.figures[name]
        drawn = charts.bars([(a, b)])[0] if np.isfinite(a) else None
        rows.append((title, drawn, _number(a), _number(b), change(b - a)))
    objects = int(own.objects.sum())
    return section(
        "Accuracy",
        charts.KEY,
        table(("figure", "", "float", "int8", "change"), rows),
        lead=f"COCO's figures on {many} labelled pictures with {objects} objects, none of which calibrated the model."
        + (" So few pictures place a figure to about ±0.02 only." if many < 500 else ""),
    )


def _by_class(reference: Coco, own: Coco, labels: Sequence[str]) -> Html:
    order = [int(c) for c in np.argsort(own.by_class - reference.by_class) if own.objects[c] > 0]
    rows = []
    for c in order:
        a, b = float(reference.by_class[c]), float(own.by_class[c])
        rows.append(
            (labels[c], int(own.objects[c]), charts.bars([(a, b)])[0], f"{a:.3f}", f"{b:.3f}", change(b - a, -0.05))
        )
    head = ("class", "objects", "", "float", "int8", "change")
    rest = tag("details", tag("summary", f"{len(rows) - _CLASSES} more"), table(head, rows[_CLASSES:]))
    return section(
        "By class",
        charts.KEY,
        table(head, rows[:_CLASSES]),
        rest if len(rows) > _CLASSES else None,
        lead="AP@[.5:.95], those that int8 hurts most first. Classes with few objects jump about by chance.",
    )


def _threshold_tile(reference: Curve, own: Curve, threshold: float) -> Html:
    best = accuracy.recommended(reference, own, threshold)
    return figure("threshold for int8", f"{best:.2f}", f"float is used at {threshold:.2f}")


def _threshold(reference: Curve, own: Curve, threshold: float, *, labelled: bool) -> Html:
    best = accuracy.recommended(reference, own, threshold)
    rows = []
    for name, curve, at in (
        ("float, at the card's", reference, threshold), ("int8, at the card's", own, threshold),
        ("int8, recommended", own, best),
    ):  # fmt: skip
        i = curve.at(at)
        cells = (f"{x[i]:.3f}" for x in (curve.precision, curve.recall, curve.f1))
        rows.append((name, f"{at:.2f}", *cells))
    axes = charts.Axes((0.0, 1.0), (0.0, 1.0), (960, 260))
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    frame = axes.frame(ticks, ticks, ("threshold", "F1"))
    lines = [
        (kind, list(zip(c.threshold.tolist(), c.f1.tolist(), strict=True)))
        for kind, c in (("float", reference), ("int8", own))
    ]
    against = "the labels" if labelled else "what the float model finds at the card's threshold (there are no labels)"
    return section(
        "A threshold for int8",
        table(("", "threshold", "precision", "recall", "F1"), rows),
        tag("p", charts.KEY),
        charts.curves(lines, axes, frame, "F1 of float and int8 over the threshold", (best,)),
        lead=f"The threshold at which int8 is as precise as float at {threshold:.2f}, measured against {against}"
        " at an overlap of .5; of several such, the one nearest to the card's.",
    )


def _agreement_tile(paired: accuracy.Pairs) -> Html:
    many = len(paired.iou)
    found = 2 * many + sum(paired.alone)
    agreed = 2 * many / found if found else 1.0
    note = f"confidence from {compare.CLEAR:g}; boxes overlap {paired.iou.mean():.3f}" if many else "no pairs"
    return figure("F1 with float", f"{agreed:.3f}", note)


def _apart(paired: accuracy.Pairs, report: dict[str, Any]) -> Html:
    if not len(paired.iou):
        return section("Boxes and scores apart", lead="The two models found no object in common.")
    shift, drift = paired.shift, paired.scores[:, 1] - paired.scores[:, 0]
    rows = [
        ("overlap of the two boxes (IoU)", f"{np.median(paired.iou):.3f}", f"{np.percentile(paired.iou, 5):.3f}"),
        ("centres apart, share of the diagonal", f"{np.median(shift):.2%}", f"{np.percentile(shift, 95):.2%}"),
        ("score of int8 less float's", f"{np.median(drift):+.3f}", f"{drift[np.abs(drift).argmax()]:+.3f}"),
    ]
    axes = charts.Axes((compare.CLEAR, 1.0), (compare.CLEAR, 1.0), (460, 320))
    ticks = [0.4, 0.6, 0.8, 1.0]
    frame = axes.frame(ticks, ticks, ("score of float", "score of int8"))
    cloud = charts.cloud(paired.scores.tolist(), axes, frame, "Scores of int8 over scores of float")
    return section(
        "Boxes and scores apart",
        tag(
            "div",
            tag("div", table(("", "middle", "worst 5% (score: worst)"), rows), _by_cause(report)),
            cloud,
            class_="two",
        ),
        lead=f"{len(paired.iou)} objects that both found; float alone found {paired.alone[0]}, int8 alone"
        f" {paired.alone[1]} (confidence from {compare.CLEAR:g}).",
    )


def _by_cause(report: dict[str, Any]) -> Html | None:
    """mAP with one half of the answer float again, where report.json has it."""
    rows = []
    for name, row in report.get("accuracy", {}).items():
        if isinstance(row, dict) and isinstance(row.get("map"), int | float):
            rows.append((name, f"{row['map']:.3f}"))
    return join([tag("h3", "mAP by cause"), table(("", "mAP"), rows)]) if len(rows) > 2 else None


def _worst(
    evidence: Evidence, reference: list[Detections], own: list[Detections], truth: list[Detections] | None
) -> Html:
    at = evidence.card.confidence
    real: Sequence[Detections | None] = truth if truth is not None else [None] * len(own)
    loss = [_loss(a, b, t) for a, b, t in zip(reference, own, real, strict=True)]
    chosen = [i for i in np.argsort(loss)[::-1][:_WORST].tolist() if loss[i] > 0]
    shown = [_side_by_side(evidence, i, reference[i], own[i]) for i in chosen]
    if not shown:
        return section("Pictures that differ most", lead=f"None: at confidence {at:.2f} both find the same.")
    return section(
        "Pictures that differ most",
        tag("div", *shown, class_="pairs"),
        lead=f"Where int8 {'gets less right' if truth is not None else 'agrees least with float'}, worst first,"
        f" at confidence {at:.2f}.",
    )


def _loss(reference: Detections, own: Detections, truth: Detections | None) -> float:
    """Objects that float gets right and int8 does not, plus what int8 makes up; agreement breaks ties."""
    together = accuracy.matched(reference, own)
    apart = len(reference) + len(own) - 2 * sum(overlap for _, _, overlap in together)
    if truth is None:
        return float(apart)
    right = [int(accuracy.hits(d, truth).sum()) for d in (reference, own)]
    wrong = [len(d) - n for d, n in zip((reference, own), right, strict=True)]
    return float((right[0] - right[1]) + 0.5 * (wrong[1] - wrong[0]) + 0.1 * apart)


def _side_by_side(evidence: Evidence, place: int, reference: Detections, own: Detections) -> Html:
    path = evidence.paths[place]
    try:
        image, scale = pictures.small(read_image(path))
    except Exception as error:
        raise ConvertError(f"report: {path} cannot be read any more") from error
    drawn = [overlay.draw(image, _scaled(d, scale), evidence.card.labels) for d in (reference, own)]
    return tag(
        "div",
        tag("h3", path.name),
        *(
            pictures.embedded(picture, f"{name}: {len(d)} objects", f"{path.name}, {name}")
            for picture, name, d in zip(drawn, ("float", "int8"), (reference, own), strict=True)
        ),
        class_="pair",
    )


def _scaled(found: Detections, scale: float) -> Detections:
    xyxy: Array = found.xyxy * np.float32(scale)
    return Detections(xyxy, found.confidence, found.class_id)
