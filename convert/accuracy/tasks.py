"""What agreement, loss and accuracy mean for each kind of answer that a head gives.

    head's method    agreement with float, no labels needed      loss that a budget bounds          with labels
    decode           F1 and mean IoU of paired boxes             (1 - min(F1, mean IoU)) / 5        mAP .5:.95
    scores           top-1 agreement, mean and greatest KL       regret, or half of disagreement    top-1
    mask             mean IoU of the classes that float sees     (1 - mean IoU) / 5                 mean IoU
    vector           mean cosine                                 1 - mean cosine                    -
    image            error relative to the picture's contrast    relative error / 5                 -

A budget is in points of the last column: .02 is two points of mAP. Without labels the loss stands in for it. A fifth,
because F1, IoU and relative error fall several times faster than accuracy does (measured on three detectors). Regret:
how much less likely, by the float model's own scores, int8's first choice is than float's; in the mean, that is the
top-1 accuracy that float would expect to lose. Half of the pictures that are decided otherwise counts where it is more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from agent import plugins
from agent.data import Array, Detections
from agent.detect.model import Model
from agent.modelfile import Card, ModelError
from convert import ConvertError
from convert.accuracy import compare
from convert.accuracy.compare import STRICT, Recording
from convert.accuracy.evidence import Truth

METHODS = ("decode", "scores", "mask", "vector", "image")
FIGURES = {"decode": "map", "scores": "top1", "mask": "miou"}  # what labels make measurable
_LEAST = 1e-6  # probability, in a logarithm


class Agreement(Protocol):
    """How well an int8 model does what its float one does."""

    @property
    def score(self) -> float:
        """To choose by: more is better."""
        ...

    @property
    def loss(self) -> float:
        """To compare with a budget."""
        ...

    def report(self) -> dict[str, float]:
        """The figures, rounded."""
        ...


@dataclass(frozen=True, slots=True)
class Likeness:
    """An Agreement of figures; the table above says which."""

    score: float
    loss: float
    figures: dict[str, float]

    def report(self) -> dict[str, float]:
        """The figures, to four decimals."""
        return {name: round(value, 4) for name, value in self.figures.items()}


def method(card: Card) -> str:
    """What the card's head answers with: one of METHODS. Raises ModelError for a head that is not there."""
    try:
        head = plugins.get("detect/heads", card.head).Head
    except KeyError as error:
        raise ModelError(f"model card: head {error.args[0]}") from None
    return next(name for name in METHODS if hasattr(head, name))


def answers(recording: Recording) -> list[Array]:
    """What the head reads from each picture, for every kind but boxes."""
    head = plugins.get("detect/heads", recording.card.head).Head(recording.card, recording.tensors)
    read = getattr(head, method(recording.card))
    return [read(seen.outputs) for seen in recording.seen]


def agreement(reference: Recording, other: Recording) -> Agreement:
    """Of two models on the same pictures."""
    kind = method(reference.card)
    if kind == "decode":
        return compare.agreement(reference, other)
    like = {"scores": _of_scores, "mask": _of_masks, "vector": _of_vectors, "image": _of_images}[kind]
    return like(answers(reference), answers(other))


def agreements(reference: Recording, other: Recording) -> dict[str, Any]:
    """For the report; boxes also by cause."""
    if method(reference.card) == "decode":
        return compare.agreements(reference, other)
    return {"int8": agreement(reference, other).report()}


def accuracy(recording: Recording, truth: Truth) -> dict[str, float]:
    """Against labels. Raises ConvertError for a kind that has none."""
    kind = method(recording.card)
    if kind == "decode":
        return compare.accuracy(recording, _boxes(truth))
    if kind == "scores":
        picks = [int(np.argmax(scores)) for scores in answers(recording)]
        return {"top1": round(float(np.mean([a == b for a, b in zip(picks, truth, strict=True)])), 4)}
    if kind == "mask":
        found = answers(recording)
        return {
            "miou": round(
                mean_iou([on_grid(np.asarray(t), f.shape) for t, f in zip(truth, found, strict=True)], found), 4
            )
        }
    raise ConvertError(f"labels: task {recording.card.task!r} has none; leave --evaluate without them")


def accuracies(reference: Recording, other: Recording, truth: Truth) -> dict[str, Any]:
    """For the report: of float, of int8, of boxes also by cause."""
    if method(reference.card) == "decode":
        return compare.accuracies(reference, other, _boxes(truth))
    return {"float32": accuracy(reference, truth), "int8": accuracy(other, truth)}


def loss(report: dict[str, Any]) -> tuple[str, float]:
    """(what was measured, how much of it int8 lost), of a report's accuracy. Raises KeyError where it has none."""
    figures = report["accuracy"]
    name = next(name for name in FIGURES.values() if name in figures["float32"])
    return name, float(figures["float32"][name] - figures["int8"][name])


def agreed_loss(figures: dict[str, float]) -> float:
    """The loss by the figures of an Agreement's report; see the table above."""
    if "f1" in figures:
        return (1.0 - min(figures["f1"], figures["mean_iou"])) / STRICT
    if "regret" in figures:
        return _regretted(figures)
    if "cosine" in figures:
        return 1.0 - figures["cosine"]
    return (figures["relative_error"] if "relative_error" in figures else 1.0 - figures["miou"]) / STRICT


def reader(model: Model) -> None:
    """Have the agent make the model's head. Raises ModelError where it would refuse."""
    if method(model.card) == "decode":
        model.head(model.card.confidence)
    else:
        plugins.get("detect/heads", model.card.head).Head(model.card, model.backend.outputs)


def mean_iou(truth: Sequence[Array], found: Sequence[Array]) -> float:
    """Over the classes that the truth has: cells of it in both, by cells in either; cells below 0 do not count."""
    both: dict[int, int] = {}
    either: dict[int, int] = {}
    for a, b in zip(truth, found, strict=True):
        counted = a >= 0
        for label in np.union1d(a[counted], b[counted]).tolist():
            x, y = (a == label) & counted, (b == label) & counted
            both[label] = both.get(label, 0) + int((x & y).sum())
            either[label] = either.get(label, 0) + int((x | y).sum())
    labels = {int(v) for a in truth for v in np.unique(a) if v >= 0}
    return float(np.mean([both[v] / either[v] for v in sorted(labels)])) if labels else 1.0


def on_grid(mask: Array, shape: tuple[int, ...]) -> Array:
    """A mask in px of the model's input at the middle of each cell of a grid that covers it."""
    rows, columns = (
        ((np.arange(n) + 0.5) * have / n).astype(np.intp) for n, have in zip(shape, mask.shape, strict=True)
    )
    return np.asarray(mask[rows[:, None], columns[None, :]])


def _of_scores(a: Sequence[Array], b: Sequence[Array]) -> Agreement:
    p, q = (np.clip(np.stack(x).astype(np.float64), _LEAST, 1.0) for x in (a, b))  # (I, C)
    p, q = (x / x.sum(axis=1, keepdims=True) for x in (p, q))
    rows, first, second = np.arange(len(p)), p.argmax(axis=1), q.argmax(axis=1)
    regret = float((p[rows, first] - p[rows, second]).mean())
    divergence = (p * np.log(p / q)).sum(axis=1)
    figures = {"top1": float((first == second).mean()), "kl": float(divergence.mean()), "regret": regret}
    loss = _regretted(figures)
    return Likeness(-loss - 0.1 * figures["kl"], loss, figures | {"kl_max": float(divergence.max())})


def _regretted(figures: dict[str, float]) -> float:
    return max(figures["regret"], (1.0 - figures["top1"]) / 2.0)


def _of_masks(a: Sequence[Array], b: Sequence[Array]) -> Agreement:
    iou = mean_iou(a, b)
    return Likeness(iou, (1.0 - iou) / STRICT, {"miou": iou})


def _of_vectors(a: Sequence[Array], b: Sequence[Array]) -> Agreement:
    cosine = np.array([float(x @ y) for x, y in zip(a, b, strict=True)])
    mean = float(cosine.mean())
    return Likeness(mean, 1.0 - mean, {"cosine": mean, "cosine_min": float(cosine.min())})


def _of_images(a: Sequence[Array], b: Sequence[Array]) -> Agreement:
    errors = [float(np.sqrt(np.mean((x - y) ** 2)) / max(float(np.std(x)), 1e-6)) for x, y in zip(a, b, strict=True)]
    mean = float(np.mean(errors))
    return Likeness(-mean, mean / STRICT, {"relative_error": mean})


def _boxes(truth: Truth) -> Sequence[Detections]:
    return [t for t in truth if isinstance(t, Detections)]
