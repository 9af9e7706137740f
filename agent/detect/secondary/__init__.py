"""A second model: it looks again at a track or at a place, less often than the detector and never in its way.

    scene ──▶ stage ──▶ section (one a [second.NAME]) ──▶ aside ──▶ kind ──▶ Reading ──▶ scenes that follow

stage     all second looks of the agent: a scene goes in, and comes out with what is known of its tracks and places
section   one of them: which crop of whom is looked at next, at most so many a second, and what was told
crops     a box cut out of a frame, and how sharp and large what it shows is
aside     where second looks are made: a thread of low priority that rests three times as long as it works
network   the model of a second look, and what fills it
novelty   is this place as it was in the normal pictures? (of the anomaly of this name)
memory    the normal pictures, as a model file carries them: a few hundred vectors
gallery   names and their vectors, for `match`, in one file
pairs     what a limit costs: pairs of pictures -> false accepts and false rejects

A kind is a file in kinds/: classify, match, segment, count. It has `Options` and `create(options, where) -> Eye`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agent.data import Array, Reading


@dataclass(frozen=True, slots=True)
class Where:
    """What a kind may know of where it is."""

    name: str  # [second.NAME]
    state: Path  # the agent's state_dir


class Eye(Protocol):
    """What a kind makes. `look` and `sum_up` are called aside of the loop, by one thread at a time."""

    side: int  # px: a crop with a longer side is scaled down to it
    about: str  # what it is, for the log and for health
    step: float  # a number that has changed by less is no event

    def look(self, picture: Array, scale: float) -> Any:
        """(H, W, 3) uint8 RGB, the crop alone, `scale` px of it a px of the frame -> what this look says."""
        ...

    def sum_up(self, t: float, looks: Sequence[tuple[float, Any]]) -> Reading:
        """What looks say together, each with its weight 0..1, the newest last; at least one."""
        ...
