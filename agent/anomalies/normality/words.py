"""Why a track is unusual, in words: the value, what is usual here, and where.

moving at 0.4 frame widths/s here; usual 0.02-0.11
a bicycle here; usual: person
here for 5 min 20 s; usual for this place: up to 16 s
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.anomalies.normality import traits
from agent.anomalies.normality.traits import Seen, Traits
from agent.anomalies.parts.episodes import told_s

_COMPASS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
Reason = tuple[str, float | None, tuple[float, float] | None]  # words, value, the usual from and to


def why(known: Traits, trait: int, seen: Seen, k: int, labels: Sequence[str]) -> Reason:
    """What is unusual about track k in one trait."""
    value = float(seen.values[k, trait])
    if trait in (traits.SPEED, traits.GAIT, traits.SIZE, traits.STAY):
        low, high = _usual(known, trait, seen, k)
        return _measured(trait, value, low, high), value, (low, high)
    common = [b for b in _common(known, trait, seen, k) if b != seen.bins[k, trait]]
    if trait == traits.DIRECTION:
        way = _COMPASS[seen.bins[k, trait]]
        return f"moving {way} here; usual: {_list([_COMPASS[b] for b in common])}", None, None
    if trait == traits.LABEL:
        names = [_label(known, b, labels) for b in common]
        return f"{_label(known, int(seen.bins[k, trait]), labels)} here; usual: {_list(names)}", None, None
    if trait == traits.HOUR:
        return "somebody at this hour; usual: nobody", None, None
    return "where hardly anything ever is", None, None


def _usual(known: Traits, trait: int, seen: Seen, k: int) -> tuple[float, float]:
    row, column = (int(of[k]) for of in seen.place(trait))
    low, high = known.habits[trait].usual(row, column)
    return traits.lower_edge(trait, low), traits.lower_edge(trait, high + 1)


def _common(known: Traits, trait: int, seen: Seen, k: int) -> list[int]:
    """The most frequent values of a trait at this place, those first that are more so."""
    habit = known.habits[trait]
    row, column = (int(of[k]) for of in seen.place(trait))
    share = habit.share[row, column]
    return [int(b) for b in np.argsort(-share, kind="stable")[:3] if share[b] > 0.1]


def _label(known: Traits, bin_: int, labels: Sequence[str]) -> str:
    class_id = known.labels[bin_] if bin_ < len(known.labels) else -1
    return labels[class_id] if 0 <= class_id < len(labels) else "something else"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing in particular"


def _measured(trait: int, value: float, low: float, high: float) -> str:
    if trait == traits.STAY:
        return f"here for {told_s(value)}; usual for this place: up to {told_s(high)}"
    if trait == traits.SIZE:
        return f"{value:.2g} frame widths large here; usual {low:.2g}-{high:.2g}"
    return f"moving at {speed(value, (low, high), 'for its kind' if trait == traits.GAIT else 'here')}"


def speed(value: float, usual: tuple[float, float], where: str = "here") -> str:
    """0.4 frame widths/s here; usual 0.02-0.11"""
    return f"{value:.2g} frame widths/s {where}; usual {usual[0]:.2g}-{usual[1]:.2g}"
