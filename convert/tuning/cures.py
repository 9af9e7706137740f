"""What is tried when the best ranges still lose too much: first what int8 can do, then what float must."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convert.int8 import calibration, equalise, ranges
from convert.int8.equalise import Site
from convert.progress import Progress
from convert.tflite import graph
from convert.tuning import gate, scoring, search
from convert.tuning.scoring import Candidate, Plan, Trials
from convert.tuning.search import Found

log = logging.getLogger(__name__)
_SITES = 8  # that are tried, the most uneven ones
_UNEVEN = 3.0  # powers of two that a site's channels must lack in the mean of the lower half
_PICTURES = 16  # that show how large channels are


def equalised(trials: Trials, sick: Candidate, pictures: Sequence[Path]) -> Candidate:
    """Uneven channels brought to one size, site by site, as long as each helps; the sick one where none does."""
    best, pictures = sick, pictures[:_PICTURES]
    uneven = _uneven(trials, pictures)
    with Progress("equalise", len(uneven)) as progress:
        for site, levels in uneven:
            plan = _with_site(trials, best.plan, site, levels, pictures)
            one = trials.candidate(plan)
            progress.tick()
            if one.agreement.score > best.agreement.score:
                log.info("equalise   %-18s %s", gate.short(site.tensor), scoring.shown(one.agreement))
                best = one
    return best


def _uneven(trials: Trials, pictures: Sequence[Path]) -> list[tuple[Site, tuple[float, ...]]]:
    """The sites that most need it, worst first, and the factors of each one's channels."""
    there = equalise.sites(graph.read(trials.model))
    if not there:
        return []
    names = [site.tensor for site in there]
    high = calibration.channel_greatest(trials.model, trials.card.input, pictures, names, trials.read)
    found = []
    for site in there:
        levels = equalise.factors(high[site.tensor])
        lower = np.sort(np.log2(levels))[len(levels) // 2 :]
        found.append((float(lower.mean()), site, levels))
    found.sort(key=lambda entry: (-entry[0], entry[1].convolution))
    return [(site, levels) for uneven, site, levels in found[:_SITES] if uneven >= _UNEVEN]


def _with_site(trials: Trials, plan: Plan, site: Site, levels: tuple[float, ...], pictures: Sequence[Path]) -> Plan:
    """A plan with one more site equalised, and ranges for the tensors that this changes."""
    all_levels = plan.levels | {site.tensor: levels}
    names = [*site.touched, equalise.twin(site.tensor)]
    model = equalise.apply(trials.model, all_levels)
    statistics = calibration.collect(model, trials.card.input, pictures, trials.read, names)
    chosen = plan.ranges | ranges.choose(statistics, "mse")
    high = chosen[names[-1]][1]
    chosen |= {site.tensor: equalise.REACH, names[-1]: (equalise.BELOW * high, high)}
    return Plan(plan.rule, ranges.rounded(chosen), all_levels)


def floated(
    trials: Trials, candidates: Sequence[Candidate], sick: Candidate, budget: float
) -> tuple[Candidate, Found, list[str]]:
    """The candidate with the smallest float region that brings it within the budget, or loses least.

    Which rule is best shows only when the great loss is out of the way: all are tried again with the best quarter.
    """
    names = scoring.operators(trials.model, sick.plan)
    outputs = {output.name for output in trials.card.outputs}  # int8 by contract: in float they would gain nothing
    seen: dict[tuple[int, ...], Candidate] = {}
    plan = sick.plan
    with Progress("search", search.TRIALS + len(candidates)) as progress:

        def tried(base: Plan, region: tuple[int, ...]) -> Candidate:
            stay = tuple(names[i] for i in region if names[i] not in outputs)
            one = trials.candidate(Plan(base.rule, base.ranges, base.levels, stay))
            progress.tick()
            return one

        def loss_of(region: tuple[int, ...]) -> float:
            seen[region] = tried(plan, region)
            return seen[region].agreement.loss

        def settle(region: tuple[int, ...]) -> float:
            nonlocal plan
            others = [tried(c.plan, region) for c in candidates if c is not sick]
            seen[region] = max([seen[region], *others], key=lambda c: c.agreement.score)
            plan = seen[region].plan
            return seen[region].agreement.loss

        found = search.search(len(names), loss_of, budget, settle=settle)
    return seen[found.best.region], found, names
