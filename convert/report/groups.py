"""The part of the page that shows figures by group of pictures."""

from __future__ import annotations

import numpy as np

from convert.accuracy import slices
from convert.accuracy.evidence import Evidence
from convert.report.markup import Html, section, table, tag


def part(evidence: Evidence) -> Html:
    """A row a group; those that int8 hurts more than the rest say so."""
    counted = slices.tallies(evidence)
    known = [i for i, path in enumerate(evidence.paths) if path.name in evidence.groups]
    missing = len(evidence.paths) - len(known)
    if counted is None or not known:
        reason = "there are no labels to tell right from wrong" if counted is None else "none of the pictures has one"
        return section("By group", lead=f"Groups were given, but {reason}.")
    title, reference, own = counted
    names = [evidence.groups[evidence.paths[i].name] for i in known]
    found = slices.table(names, reference[known], own[known])
    rows = [(s.group, s.pictures, _cell(s.reference), _cell(s.own), _cell(s.loss), _verdict(s)) for s in found]
    left = f" {missing} pictures are in no group." if missing else ""
    flagged = [s.group for s in found if s.flagged]
    says = f"int8 hurts {', '.join(flagged)} more than the rest." if flagged else "No group is hurt more than the rest."
    return section(
        "By group",
        table(("group", "pictures", f"float {title}", f"int8 {title}", "lost", "against the rest"), rows),
        lead=f"{says}{left} In brackets 95% intervals (bootstrap over pictures); the verdict is a one-sided"
        f" permutation test, corrected for {len(found)} groups (Holm), level {slices.LEVEL:g}.",
    )


def _cell(value: tuple[float, float, float]) -> str:
    middle, low, high = value
    return f"{middle:.3f} ({low:.3f} to {high:.3f})" if np.isfinite(middle) else "nothing there"


def _verdict(row: slices.Slice) -> Html | str:
    if row.flagged:
        return tag("b", f"hurt more, p {row.p:.3f}", class_="bad")
    return f"p {row.p:.2f}" if row.pictures >= slices.LEAST else "too few to judge"
