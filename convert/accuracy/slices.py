"""Figures by group of pictures (light, camera, skin tone, ...), and whether int8 hurts one group more than the rest.

    groups = read(Path("groups.csv"))                 image,group  a line a picture
    rows = table([groups[p.name] for p in paths], tallies(evidence))

A figure is a mean over classes of a share: F1 of boxes at the card's confidence, top-1, mean IoU. Its interval is a
percentile bootstrap over the group's pictures (2,000 draws, float and int8 on the same draws). The flag is a one-sided
permutation test: how often groups dealt at random lose as much more than the rest as this one does, corrected for the
number of groups by Holm's method. Few pictures give wide intervals and no flag, which is not the same as no harm.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agent.data import Array
from convert import ConvertError
from convert.accuracy import compare, tasks
from convert.accuracy.evidence import Evidence

DRAWS = 2000
LEVEL = 0.05  # chance of a false flag, over all groups
LEAST = 5  # pictures below which a group is shown, not judged
_MOST_GROUPS = 100


class Slice(msgspec.Struct, frozen=True):
    """One group."""

    group: str
    pictures: int
    reference: tuple[float, float, float]  # float's figure, and its 95% interval
    own: tuple[float, float, float]  # int8's
    loss: tuple[float, float, float]  # float's less int8's
    p: float  # of the permutation test, corrected; 1 for a group too small to judge
    flagged: bool


def read(path: Path) -> dict[str, str]:
    """Picture's file name -> group. Raises ConvertError, naming the line, for anything but `image,group`."""
    groups: dict[str, str] = {}
    for number, cells in enumerate(lines(path, "groups", "group"), 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != 2 or not all(cell.strip() for cell in cells):
            raise ConvertError(f"groups {path}:{number}: wants 'image,group', is {','.join(cells)[:40]!r}")
        name, group = Path(cells[0].strip()).name, cells[1].strip()
        if groups.setdefault(name, group) != group:
            raise ConvertError(f"groups {path}:{number}: {name} is in the group {groups[name]!r} already")
    if len(set(groups.values())) > _MOST_GROUPS:
        raise ConvertError(f"groups {path}: more than {_MOST_GROUPS} groups; is the second column a group?")
    return groups


def lines(path: Path, what: str, column: str, otherwise: str = "not a CSV file") -> list[list[str]]:
    """The lines of a CSV file below its first, which must be `image,<column>`. Raises ConvertError, naming the file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = list(csv.reader(file, strict=True))
    except OSError as error:
        raise ConvertError(f"{what} {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConvertError(f"{what} {path}: {otherwise} in UTF-8 ({error})") from error
    head = [cell.strip().lower() for cell in found[0]] if found else []
    if head != ["image", column]:
        raise ConvertError(f"{what} {path}: its first line must be 'image,{column}', is {','.join(head)[:40]!r}")
    return found[1:]


def tallies(evidence: Evidence) -> tuple[str, Array, Array] | None:
    """(name of the figure, float's tallies, int8's): (I, C, 2) right and possible, a picture and class.

    None where the answers cannot be told right from wrong: no labels, or a task without them.
    """
    kind, truth = tasks.method(evidence.card), evidence.truth
    count = _COUNTS.get(kind)
    if truth is None or count is None:
        return None
    title, one = count
    reference, own = (one(r, truth, evidence) for r in (evidence.reference, evidence.recording))
    return title, reference, own


def table(groups: Sequence[str], reference: Array, own: Array, seed: int = 0) -> list[Slice]:
    """A row a group, those that lose most first; `groups` has an entry a picture. Same input, same rows."""
    names, member = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    generator = np.random.default_rng(seed)
    rows, chances = [], []
    for number, name in enumerate(names.tolist()):
        inside = member == number
        draws = generator.multinomial(int(inside.sum()), np.full(int(inside.sum()), 1 / inside.sum()), DRAWS)
        both = [figure(draws, side[inside]) for side in (reference, own)]
        whole = [float(figure(np.ones((1, inside.sum())), side[inside])[0]) for side in (reference, own)]
        spread = (*both, both[0] - both[1])
        middle = (*whole, whole[0] - whole[1])
        rows.append((name, int(inside.sum()), [_interval(m, s) for m, s in zip(middle, spread, strict=True)]))
        judged = LEAST <= inside.sum() <= len(member) - LEAST
        chances.append(_chance(inside, reference, own, generator) if judged else 1.0)
    corrected = _holm(chances)
    found = [
        Slice(name, many, cells[0], cells[1], cells[2], p, p < LEVEL)
        for (name, many, cells), p in zip(rows, corrected, strict=True)
    ]
    return sorted(found, key=lambda s: (-s.loss[0], s.group))


def figure(weights: Array, counted: Array) -> Array:
    """(B, I) how often each picture counts, (I, C, 2) -> (B,) mean over the classes that there are; nan for none."""
    total = np.tensordot(weights.astype(np.float64), counted, axes=(1, 0))  # (B, C, 2)
    there = total[:, :, 1] > 0
    share = np.divide(total[:, :, 0], total[:, :, 1], out=np.zeros(there.shape), where=there)
    number = there.sum(axis=1)
    return np.where(number > 0, share.sum(axis=1) / np.maximum(1, number), np.nan)


def _interval(middle: float, spread: Array) -> tuple[float, float, float]:
    known = spread[np.isfinite(spread)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return middle, float(low), float(high)


def _chance(inside: Array, reference: Array, own: Array, generator: np.random.Generator) -> float:
    """How often a group of that size, dealt at random, loses as much more than the rest."""
    dealt = np.array([generator.permutation(inside) for _ in range(DRAWS)])
    harm = [_loss(side, reference, own) - _loss(~side, reference, own) for side in (inside[None, :], dealt)]
    as_bad = int((harm[1] >= harm[0][0] - 1e-12).sum())
    return (as_bad + 1) / (DRAWS + 1)


def _loss(chosen: Array, reference: Array, own: Array) -> Array:
    return np.asarray(np.nan_to_num(figure(chosen, reference) - figure(chosen, own)))


def _holm(chances: Sequence[float]) -> list[float]:
    """p values, corrected for how many there are (Holm 1979)."""
    order = np.argsort(chances, kind="stable")
    corrected, least = np.ones(len(chances)), 0.0
    for rank, place in enumerate(order.tolist()):
        least = max(least, min(1.0, (len(chances) - rank) * chances[place]))
        corrected[place] = least
    return [float(p) for p in corrected]


def _boxes(recording: compare.Recording, truth: Any, evidence: Evidence) -> Array:
    """F1 at the card's confidence, all labels together: 2·right and found + there."""
    found = compare.detections(recording, evidence.card.confidence, iou=evidence.card.iou)
    rows = [
        (2 * len(compare.paired(real, seen)), len(seen) + len(real)) for seen, real in zip(found, truth, strict=True)
    ]
    return np.array(rows, np.float64).reshape(-1, 1, 2)


def _picks(recording: compare.Recording, truth: Any, evidence: Evidence) -> Array:
    del evidence
    rows = [(int(np.argmax(s)) == int(t), 1) for s, t in zip(tasks.answers(recording), truth, strict=True)]
    return np.array(rows, np.float64).reshape(-1, 1, 2)


def _masks(recording: compare.Recording, truth: Any, evidence: Evidence) -> Array:
    """Cells of the class in both, and in either."""
    counted = np.zeros((len(recording.seen), len(evidence.card.labels), 2))
    for row, (found, mask) in enumerate(zip(tasks.answers(recording), truth, strict=True)):
        real = tasks.on_grid(np.asarray(mask), found.shape)
        for label in np.union1d(real[real >= 0], found[real >= 0]).tolist():
            a, b = (real == label), (found == label) & (real >= 0)
            counted[row, int(label)] = (a & b).sum(), (a | b).sum()
    return counted


_COUNTS: dict[str, tuple[str, Any]] = {
    "decode": ("F1", _boxes), "scores": ("top-1", _picks), "mask": ("mean IoU", _masks)
}  # fmt: skip
