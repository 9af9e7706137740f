"""Is this place as it was in the normal pictures? One file knows: python -m convert novelty --normal DIR.

    frame ──cut──▶ letterbox ──▶ int8 trunk ──▶ (h, w, C) ──▶ distance to the memory ──▶ value, heat map

Looks are made aside (aside.py): `ask` copies the place and returns, `answer` is there some frames later.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agent.data import Array, Frame, Strange
from agent.detect.secondary import memory as normal
from agent.detect.secondary.aside import Aside, Errand
from agent.detect.secondary.crops import cut
from agent.detect.secondary.network import Network
from agent.modelfile import ModelError


class Novelty:
    """One model file with its memory. Not for two threads at once."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError: no such file, another kind of model, a memory that does not belong to it."""
        card, self._memory = normal.read(path)
        self._network = Network(path)
        self._head = self._network.model.patcher()
        if (self._head.channels,) != self._memory.centre.shape or self._head.grid != self._memory.usual.shape[1:]:
            raise ModelError(f"model {path}: its memory is of another trunk; build it again")
        self.limit = float(card.decode["limit"])
        self.region: tuple[float, float, float, float] = tuple(card.decode["region"])  # xyxy 0..1 of the frame
        low, high = card.decode["usual"]
        self.usual = float(low), float(high)

    def look(self, picture: Array) -> tuple[float, Array]:
        """(H, W, 3) uint8 RGB, the place alone -> how strange, and (h, w) float32 how strange each cell is."""
        strange = self._memory.strangeness(self._head.patches(self._network.run(picture)[0]))
        return normal.strongest(strange), strange

    def warmth(self, strange: Array) -> Array:
        """Strangeness -> (h, w) float32 0..1: 0 as usual, 0.5 at the limit, towards 1 far beyond."""
        over = np.maximum(strange, 0)
        return np.asarray(over / (over + max(self.limit, 1e-6)), np.float32)


class Watcher:
    """Looks at the place of one model file in the frames of one camera, aside."""

    def __init__(self, path: Path, aside: Aside) -> None:
        """Raises ModelError."""
        self._novelty = Novelty(path)
        self._errand: Errand[Strange] = Errand(aside)
        self.answer = self._errand.answer

    def ask(self, frame: Frame) -> bool:
        """Have the frame looked at; False, and nothing happens, while the last answer was not taken."""
        if not self._errand.is_free or 0 in frame.image.strides:  # a picture that was dropped on the way here
            return False
        xyxy = cut(self._novelty.region, frame.size)
        x1, y1, x2, y2 = xyxy
        picture = frame.image[y1:y2, x1:x2].copy()  # the frame's memory may be the camera's again soon
        self._errand.ask(lambda: self._look(frame.t, xyxy, picture))
        return True

    def _look(self, t: float, xyxy: tuple[int, int, int, int], picture: Array) -> Strange:
        value, strange = self._novelty.look(picture)
        heat = self._novelty.warmth(strange)
        return Strange(t, xyxy, value, self._novelty.limit, self._novelty.usual, heat)
