"""Whether an int8 model may leave: what it lost, against a budget, and what to say where that is too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convert import ConvertError
from convert.accuracy import tasks
from convert.tuning.search import Found

_ADVICE = "try more pictures of the camera's own in --calibrate, a net without depthwise stem or with ReLU6"

_NAME = 48  # characters


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a conversion."""

    measure: str  # "map", "top1", "miou"; "agreement" where there were no labels
    loss: float
    budget: float
    accepted: bool = False  # more than the budget, by the user's word

    @property
    def within(self) -> bool:
        """Whether the budget holds."""
        return self.loss <= self.budget

    @property
    def kept(self) -> bool:
        """Whether the model goes by its own name."""
        return self.within or self.accepted

    def report(self) -> dict[str, Any]:
        """For report.json."""
        said = {"measure": self.measure, "loss": round(self.loss, 4), "budget": self.budget, "within": self.within}
        return said | ({"accepted_loss": True} if self.accepted else {})

    def sentence(self) -> str:
        """What was lost."""
        if self.measure == "agreement":
            return f"int8 disagrees with float by a loss of {self.loss:.4f}, the budget is {self.budget:.4f}"
        return f"int8 costs {self.loss:.4f} {self.measure}, the budget is {self.budget:.4f}"


def judge(report: dict[str, Any], budget: float, accept_loss: bool = False) -> Verdict:
    """By accuracy where the report has it, else by agreement. Raises ConvertError for a report with neither."""
    try:
        if "accuracy" in report:
            measure, loss = tasks.loss(report)
        else:
            measure, loss = "agreement", tasks.agreed_loss(report["agreement"]["int8"])
    except (KeyError, TypeError, StopIteration) as error:
        raise ConvertError(f"ranges: their report has no {error}; find them anew with --calibrate DIR") from error
    return Verdict(measure, loss, budget, accept_loss and loss > budget)


def region(places: Sequence[int], names: Sequence[str]) -> str:
    """A float region in words."""
    first, last = (f"{i} ({short(names[i])})" for i in (places[0], places[-1]))
    return f"{len(places)} of {len(names)} operators in float, {first} to {last}"


def short(name: str) -> str:
    """What a reader needs of a tensor's name: TensorFlow joins the names of all that became one operator."""
    name = name.split(";", maxsplit=1)[0]
    return name if len(name) <= _NAME else f"..{name[-_NAME:]}"


def account(found: Found, names: Sequence[str]) -> dict[str, Any]:
    """A search, for report.json: the region taken, and what each part of the graph alone would have cured."""

    def named(places: Sequence[int]) -> dict[str, Any]:
        return {"operators": len(places), "from": names[places[0]], "to": names[places[-1]]}

    return {
        "trials": found.trials,
        "region": named(found.best.region) | {"loss": round(found.best.loss, 4)},
        "parts": [named(part.region) | {"loss": round(part.loss, 4)} for part in found.parts],
    }


def advice(report: dict[str, Any], edgetpu: bool) -> list[str]:
    """For a model that is refused: where in the graph the loss is, and what to try, a line each."""
    lines = []
    agreement = report.get("agreement", {})
    causes = {name: figures for name, figures in agreement.items() if isinstance(figures, dict) and name != "int8"}
    if causes:
        worst = min(causes, key=lambda name: causes[name]["f1"] * causes[name]["mean_iou"])
        lines.append(f"by cause: {worst} lose most ({', '.join(f'{k} {v}' for k, v in causes[worst].items())})")
    parts = report.get("search", {}).get("parts", [])
    if parts:
        part = min(parts, key=lambda p: p["loss"])
        lines.append(
            f"in the graph: mostly between {short(part['from'])} and {short(part['to'])}; that quarter in"
            f" float leaves a loss of {part['loss']}"
        )
    if edgetpu:
        lines.append("without --edgetpu, a few operators could stay in float")
    lines.append(_ADVICE)
    lines.append("--accept-loss writes it all the same, and says so in the file; --budget sets another limit")
    return lines
