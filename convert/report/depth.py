"""How the error grows along the graph: every tensor of the int8 model against the float model's of the same name.

The measure is SQNR, the power of the float values over the power of the difference, in dB: 6 dB are one bit. A tensor
that stands far below its neighbours is where int8 loses; 20 dB and more is what good nets show in their middle.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from agent.cli.detect import read_image
from agent.data import Array
from agent.detect.letterbox import Letterbox
from agent.modelfile import Card, Tensor
from convert.report import charts
from convert.report.markup import Html, section, table, tag
from convert.tflite import graph

log = logging.getLogger(__name__)
PICTURES = 4  # enough: the measure is a ratio over thousands of values a picture
_POWER = 0.15  # how far from a power of two a channel's factor may seem
_PERFECT = 80.0  # dB shown for tensors without any error


class Depth(msgspec.Struct, frozen=True):
    """One tensor."""

    position: int  # of the int8 model's operator that makes it
    kind: str  # of that operator
    name: str
    sqnr: float  # dB


def along(reference: bytes, model: bytes, card: Card, paths: Sequence[Path]) -> list[Depth]:
    """SQNR of every activation that both models have, in the graph's order, on the first pictures.

    Empty where the runtime's own kernels refuse a model that XNNPACK takes: one with scales that are worlds apart.
    """
    try:
        runs = [_Run(data, card) for data in (reference, model)]
    except RuntimeError as error:
        log.warning("report     without the error along the graph: %s", " ".join(str(error).split())[:200])
        return []
    names = runs[0].places.keys() & runs[1].places.keys()
    signal, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for path in paths[:PICTURES]:
        image = read_image(path)
        for run in runs:
            run.on(image)
        for name in names:
            a, b = (run.value(name) for run in runs)
            if a.shape == b.shape:
                signal[name] += float(np.square(a).sum())
                noise[name] += float(np.square(a - levelled(a, b)).sum())
    given, found = graph.read(model), []
    for position, operator in enumerate(given.operators):
        for output in operator.outputs:
            name = given.tensors[output].name
            if signal.get(name, 0.0) > 0:
                decibel = 10 * np.log10(signal[name] / noise[name]) if noise[name] else _PERFECT
                found.append(Depth(position, operator.name, name, min(_PERFECT, float(decibel))))
    return found


def levelled(a: Array, b: Array) -> Array:
    """`b` with its last axis' channels that are 2, 4, 8, .. times `a`'s brought down to it.

    The converter may have equalised them so; the float model, for which that changes nothing, has them as they were.
    """
    if a.ndim < 2:
        return b
    rest = tuple(range(a.ndim - 1))
    power = np.square(a).sum(axis=rest)  # (C,)
    ratio = np.divide((a * b).sum(axis=rest), power, out=np.ones_like(power), where=power > 0)
    factor = 2.0 ** np.round(np.log2(np.maximum(ratio, 1.0)))
    fits = np.abs(ratio / factor - 1.0) < _POWER  # quantisation blurs a channel, but does not make it larger
    return np.asarray(b / np.where(fits, factor, 1.0))


class _Run:
    """A model with all its tensors kept, on the runtime's own kernels: a delegate would hide them."""

    def __init__(self, model: bytes, card: Card) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "intended for debugging purposes": that is what this is
            self._interpreter = Interpreter(
                model_content=model,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        given = graph.read(model)
        moving = {t.name for t in given.tensors if not t.constant}
        self.places: dict[str, dict[str, Any]] = {
            d["name"]: d for d in self._interpreter.get_tensor_details() if d["name"] in moving
        }
        (detail,) = self._interpreter.get_input_details()
        scale, zero_point = detail["quantization"]
        shape = tuple(int(n) for n in detail["shape"])
        tensor = Tensor(detail["name"], shape, np.dtype(detail["dtype"]).name, float(scale), int(zero_point))
        self._input, self._letterbox = detail["index"], Letterbox(card.input, tensor)

    def on(self, image: Array) -> None:
        """One picture through the model."""
        view = self._interpreter.tensor(self._input)()
        self._letterbox.fill(view, image)
        del view
        self._interpreter.invoke()

    def value(self, name: str) -> Array:
        """Real values of a tensor, float64."""
        detail = self.places[name]
        raw = self._interpreter.get_tensor(detail["index"]).astype(np.float64)
        scale, zero_point = detail["quantization"]
        return np.asarray((raw - zero_point) * scale) if scale else np.asarray(raw)


def shown(found: Sequence[Depth]) -> Html | None:
    """The plot, and the tensors that lose most against what comes before them."""
    if len(found) < 2:
        return None
    worst = steepest(found)
    most = max(20.0, 10 * np.ceil(max(d.sqnr for d in found) / 10))
    least = min(0.0, 10 * np.floor(min(d.sqnr for d in found) / 10))
    axes = charts.Axes((0, max(1, found[-1].position)), (float(least), float(most)))
    step = max(1, round(found[-1].position / 8))
    frame = axes.frame(
        np.arange(least, most + 1, 10).tolist(),
        list(range(0, found[-1].position + 1, step)),
        ("operator, in the graph's order", "SQNR, dB (higher is better)"),
    )
    points = [(d.position, d.sqnr, f"#{d.position} {d.kind} {d.name}: {d.sqnr:.1f} dB", d in worst) for d in found]
    rows = [
        (f"#{d.position} {d.kind}", f"{d.sqnr:.1f}\u00a0dB", f"{drop:+.1f}\u00a0dB", short(d.name))
        for d, drop in worst.items()
    ]
    return section(
        "Error along the graph",
        charts.scatter(points, axes, frame, "Signal to quantisation noise of every tensor, by its place in the graph"),
        tag("h3", "Where it falls most"),
        table(("operator", "SQNR", "against the five before", "tensor"), rows, class_="words"),
        lead=f"Each dot is a tensor: how much of the float model's signal is left in it, on {PICTURES} pictures."
        " 6 dB are one bit. A sudden fall that stays is where int8 loses; red dots are the steepest falls.",
    )


def short(name: str, most: int = 60) -> str:
    """The end of a long name, where front ends say what is special about it."""
    name = name.split(";", maxsplit=1)[0]  # fused operators have several
    return name if len(name) <= most else f"…{name[-most:]}"


def steepest(found: Sequence[Depth], many: int = 6) -> dict[Depth, float]:
    """Tensors that fall most under the median of the five before them, dB."""
    drops = {}
    for i, here in enumerate(found):
        before = [d.sqnr for d in found[max(0, i - 5) : i]]
        if before:
            drops[here] = here.sqnr - float(np.median(before))
    chosen = sorted(drops, key=lambda d: drops[d])[:many]
    return {d: drops[d] for d in chosen if drops[d] < 0}
