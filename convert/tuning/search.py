"""The smallest part of a graph that must stay in float for int8 to keep its accuracy: found by place.

Where int8 loses, a few neighbouring operators usually lose it all: a stem whose channels differ a hundredfold, a
head with two kinds of numbers. So the graph is cut by position: each quarter left in float in turn, the best kept
(two of them where one does not do), then halves, quarters, eighths, .. of what is kept given back to int8 from either
end, as long as the loss stays near that of the quarter: what a small region gains in speed it must not lose again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

PARTS = 4
SLACK = 0.3  # of what the best quarter leaves of the budget, that a smaller region may use up
TRIALS = 32  # at most: each quantises and runs the model anew


@dataclass(frozen=True, slots=True)
class Trial:
    """One region, and what was lost with it in float."""

    region: tuple[int, ...]  # operators, by position
    loss: float


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a search."""

    best: Trial  # within the budget, or the least loss that was seen
    parts: tuple[Trial, ...]  # each quarter alone: where in the graph the loss arises
    trials: int


def search(
    count: int,
    loss_of: Callable[[tuple[int, ...]], float],
    budget: float,
    most: int = TRIALS,
    settle: Callable[[tuple[int, ...]], float] | None = None,
) -> Found:
    """Look for a region of `count` operators that brings the loss within a budget; `loss_of` tries one.

    `settle` is told the best quarter, once: with the great loss out of the way it may choose anew what else `loss_of`
    tries, and answers with the loss of that quarter then.
    """
    spent = 0

    def attempt(region: Sequence[int]) -> Trial:
        nonlocal spent
        spent += 1
        return Trial(tuple(region), loss_of(tuple(region)))

    bounds = [count * i // PARTS for i in range(PARTS + 1)]
    parts = tuple(attempt(range(a, b)) for a, b in pairwise(bounds) if a < b)
    ranked = sorted(parts, key=lambda trial: trial.loss)
    best = Trial(ranked[0].region, settle(ranked[0].region)) if settle else ranked[0]
    if best.loss > budget and len(ranked) > 1:
        both = attempt(sorted({*best.region, *ranked[1].region}))
        best = min(best, both, key=lambda trial: trial.loss)
    if best.loss <= budget:
        goal = best.loss + SLACK * (budget - best.loss)
        best = _shrunk(best, attempt, goal, lambda: spent < most)
    return Found(best, parts, spent)


def _shrunk(kept: Trial, attempt: Callable[[Sequence[int]], Trial], goal: float, may: Callable[[], bool]) -> Trial:
    """Give back as much as the goal allows, in ever smaller pieces."""
    step = max(1, len(kept.region) // 2)
    while may():
        smaller = next((t for t in _smaller(kept.region, step, attempt, may) if t.loss <= goal), None)
        if smaller:
            kept = smaller
            step = min(step, max(1, len(kept.region) // 2))
        elif step == 1:
            break
        else:
            step //= 2
    return kept


def _smaller(
    region: tuple[int, ...], step: int, attempt: Callable[[Sequence[int]], Trial], may: Callable[[], bool]
) -> Iterator[Trial]:
    """The region without `step` operators at its end, then without as many at its start."""
    for rest in (region[:-step], region[step:]):
        if rest and may():
            yield attempt(rest)
