"""What a limit costs: cosines of pairs of pictures -> how often strangers are accepted and the right ones refused.

false accepts  share of the pairs of two names whose cosine is at the limit or above
false rejects  share of the pairs of one name whose cosine is below it
equal          both at the limit where they are nearest to each other (equal error rate)

Nothing below 1 / (pairs of two names) can be seen in so many pairs, and such a rate is not promised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.data import Array, LookoutError


@dataclass(frozen=True, slots=True)
class Verdict:
    """One limit, and what it costs on these pairs."""

    limit: float  # cosine
    false_accepts: float
    false_rejects: float
    equal: float  # the equal error rate, whatever the limit
    same: int  # pairs of one name
    different: int  # pairs of two


def cosines(vectors: Array, names: list[str]) -> tuple[Array, Array]:
    """(N, D) of length 1 -> cosines of all pairs of one name, and of all pairs of two."""
    of = np.array(names)
    first, second = np.triu_indices(len(names), k=1)
    apart = np.einsum("nd,nd->n", vectors[first], vectors[second]) if len(first) else np.zeros(0)
    is_same = of[first] == of[second]
    return apart[is_same], apart[~is_same]


def judged(same: Array, different: Array, accepts: float) -> Verdict:
    """The lowest limit at which at most the share `accepts` of `different` pairs is accepted.

    Raises LookoutError where there are too few pairs to say.
    """
    if not len(same) or len(different) * accepts < 1:
        need = f"{1 / accepts:.0f} pairs of two names and one pair of one name"
        raise LookoutError(
            f"pairs: {len(different)} of two names and {len(same)} of one; a false-accept rate of {accepts:g} needs at"
            f" least {need}: add pictures (--others DIR takes strangers) or allow more"
        )
    falling = np.sort(different)[::-1]
    last = int(np.floor(accepts * len(different) + 1e-9))  # so many may be accepted
    limit = float(np.nextafter(falling[last], 2.0)) if last < len(falling) else -1.0
    tried = np.unique(np.concatenate([same, different]))
    both = [(float((different >= one).mean()), float((same < one).mean())) for one in tried]
    equal = min(both, key=lambda pair: abs(pair[0] - pair[1]))
    return Verdict(
        limit,
        float((different >= limit).mean()),
        float((same < limit).mean()),
        sum(equal) / 2,
        len(same),
        len(different),
    )
