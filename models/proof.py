"""A trained Keras model -> an int8 file, judged on pictures that nothing was chosen by; the report, and a table's row.

The figure is that of the finished file, run by the agent's own letterbox, backend and head (`convert.steps`).
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import msgspec
import numpy as np

from agent import modelfile
from agent.cli import guarded
from agent.cli.detect import read_image
from convert import ConvertError, commands, output, report, sources, steps
from convert.accuracy import slices
from convert.accuracy.tasks import FIGURES
from convert.report import speed
from convert.sources import Request
from convert.steps import Job
from models import pictures
from models.pictures import Pictures

log = logging.getLogger(__name__)
BEGIN, END = "<!-- written by the recipes: {} -->", "<!-- end -->"
BUDGET = 0.02
CALIBRATE = 200  # pictures of the training part


class Shown(Protocol):
    """Pictures with whatever is known of them."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """What a finished file is worth."""

    path: Path
    figures: dict[str, dict[str, float]]  # "float32" and "int8" -> {"top1": ..}, or of agreement where labels are none
    held: int  # pictures that judged
    bytes: int
    milliseconds: float  # an invoke here, one thread, median; nan where it was not timed

    @property
    def figure(self) -> float:
        """The int8 model's: top-1, mean IoU or mAP."""
        return next(self.figures["int8"][name] for name in FIGURES.values() if name in self.figures["int8"])

    def interval(self) -> tuple[float, float]:
        """95 %, for a share of pictures that are right."""
        return wilson(self.figure, self.held)


def command(name: str, about: str, arguments: Callable[[argparse.ArgumentParser], None],
            run: Callable[[argparse.Namespace], int], argv: Sequence[str] | None = None) -> int:  # fmt: skip
    """`python -m models.recipes.NAME`: common options and its own; troubles in one line, exit code 2."""
    parser = argparse.ArgumentParser(f"python -m models.recipes.{name}", description=about.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/models") / name, metavar="DIR", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the row of figures between its marks there")
    parser.add_argument(
        "--slices", type=Path, metavar="CSV", help="lines image,group for the report (default: by light)"
    )
    arguments(parser)
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")  # to stderr
    for room in ("convert", "models"):
        logging.getLogger(room).setLevel(logging.INFO)
    return guarded(name, lambda: commands.within_reason(run, args))


def proven(
    model: Any, train: Pictures, held: Pictures, *, out: Path, name: str, licence: str = "",
    task: str | None = None, groups: Path | None = None, fed: dict[str, Any] | None = None,
) -> Proof:  # fmt: skip
    """OUT/NAME.keras -> OUT/NAME_int8.tflite, its card and report; class folders OUT/held-out judge it.

    `fed` is of the card's input what the model does not say: range, color, resize. Raises ConvertError; a model that
    lost more than its budget (2 points, or one picture) is one too.
    """
    output.writable(out)
    keras = out / f"{name}.keras"
    model.save(keras)
    judged = pictures.copy(out / "held-out", held)
    rows = np.linspace(0, len(train) - 1, min(CALIBRATE, len(train))).astype(np.intp)
    pictures.copy(out / "calibration", train[rows])
    names = grouped(groups, judged)
    budget = max(BUDGET, 1.01 / len(held))
    return converted(keras, out, name, labels=held.names, licence=licence, task=task, groups=names, fed=fed,
                     budget=budget, calibrate=out / "calibration", evaluate=out / "held-out")  # fmt: skip


def converted(
    keras: Path, out: Path, name: str, *, calibrate: Path, evaluate: Path, labels: tuple[str, ...] = (),
    licence: str = "", task: str | None = None, head: Path | None = None, groups: dict[str, str] | None = None,
    fed: dict[str, Any] | None = None, budget: float = BUDGET, decode: dict[str, Any] | None = None,
) -> Proof:  # fmt: skip
    """A .keras file through the converter; `evaluate` as convert.accuracy.dataset wants it. Raises ConvertError."""
    request = Request(keras, task=task, head=str(head) if head else None, labels=labels, input=fed or {})
    source = sources.read(request)
    card = msgspec.structs.replace(source.card, licence=licence, decode={**source.card.decode, **(decode or {})})
    source = msgspec.structs.replace(source, card=card)
    outcome = steps.run(Job(
        f"{name}_int8", out, source, calibrate=calibrate, evaluate=evaluate, budget=budget, page=report.page,
        groups=groups, keras=keras,
    ))  # fmt: skip
    if not outcome.verdict.kept:
        raise ConvertError(f"{name}: {outcome.verdict.sentence()}; kept as {outcome.path}")
    data = outcome.path.read_bytes()
    timed = speed.measure(source.model, data)
    said = outcome.known.report
    found = said.get("accuracy") or said["agreement"]
    figures = {kind: found[kind] for kind in ("float32", "int8") if kind in found}
    return Proof(outcome.path, figures, int(found["images"]), len(data), timed.own if timed else math.nan)


def grouped(file: Path | None, held: Shown) -> dict[str, str]:
    """Picture's name -> its slice of the report: as the CSV file says, else by light. Raises ConvertError."""
    return slices.read(file) if file else by_light(held)


def by_light(held: Shown) -> dict[str, str]:
    """Picture's name -> dark, middle or bright: thirds of the pictures by their mean grey level."""
    grey = np.array([cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY).mean() for path in held.paths])
    third = np.searchsorted(np.quantile(grey, [1 / 3, 2 / 3]), grey)
    return {path.name: ("dark", "middle", "bright")[i] for path, i in zip(held.paths, third, strict=True)}


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of `count` (Wilson, 1927): honest for few pictures and shares near 1."""
    z = 1.959964
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def top1_row(table: Path | None, key: str, found: Proof, train: int, note: str = "") -> None:
    """The row of a classifier that learned from `train` pictures, see `row`."""
    low, high = found.interval()
    row(table, "classifiers", key, (
        f"{train} / {found.held}", f"{found.figures['float32']['top1']:.4f}", f"**{found.figure:.4f}**",
        f"{low:.3f} to {high:.3f}", f"{found.bytes / 1e3:.0f} kB", f"{found.milliseconds:.2f}", note,
    ))  # fmt: skip


def row(table: Path | None, part: str, key: str, cells: Sequence[str]) -> None:
    """Log a row `| key | cells.. |`, and put it in the place of the row of that key between the marks of `part`.

    The marks, and a table's head between them, are there already; other rows stay. Raises ConvertError where not.
    """
    line = f"| {key} | {' | '.join(cells)} |"
    log.info("figures    %s", line)
    if table is None:
        return
    try:
        text = table.read_text("utf-8")
    except OSError as error:
        raise ConvertError(f"table {table}: {error.strerror}") from error
    before, mark, rest = text.partition(BEGIN.format(part) + "\n")
    inside, end, after = rest.partition(END)
    if not mark or not end:
        raise ConvertError(f"table {table}: has no lines '{BEGIN.format(part)}' and '{END}'")
    lines = inside.splitlines()
    known = next((i for i, old in enumerate(lines) if old.startswith(f"| {key} |")), None)
    if known is None:
        lines = [*lines, line] if lines else [line]
    else:
        lines[known] = line
    output.write({table: (before + mark + "\n".join(lines) + "\n" + end + after).encode()})


def ship(proof: Proof, folder: Path) -> None:
    """Copy model and card, the report inside, to where others lie. Raises ConvertError, ModelError: not what it was."""
    modelfile.read(proof.path)
    output.write({folder / path.name: path.read_bytes() for path in (proof.path.with_suffix(".json"), proof.path)})
