"""The median of a few numbers, quickly: for up to some thousands np.median takes four times as long and more."""

from __future__ import annotations

import numpy as np

from agent.data import Array


def middle(values: Array) -> float:
    """The median of any number > 0 of values; of an even number the upper one of the two in the middle."""
    return float(np.partition(values, values.size // 2, axis=None)[values.size // 2])
