"""Is this place as it was in the normal pictures? One file knows: python -m convert novelty --normal DIR.

    frame ──cut──▶ letterbox ──▶ int8 trunk ──▶ (h, w, C) ──▶ distance to the memory ──▶ value, heat map

Looks are made aside (aside.py): `ask` copies the place and returns, `answer` is there some frames later.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agent.data import Array, Frame, Strange
from agent.detect.letterbox import Letterbox
from agent.detect.model import Model
from agent.detect.secondary import memory as normal
from agent.detect.secondary.aside import Aside
from agent.modelfile import ModelError


class Novelty:
    """One model file with its memory. Not for two threads at once."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError: no such file, another kind of model, a memory that does not belong to it."""
        card, self._memory = normal.read(path)
        self._model = Model(path, threads=1)
        self._letterbox = Letterbox(card.input, self._model.backend.inputs[0])
        self._head = self._model.patcher()
        if (self._head.channels,) != self._memory.centre.shape or self._head.grid != self._memory.usual.shape[1:]:
            raise ModelError(f"model {path}: its memory is of another trunk; build it again")
        self.limit = float(card.decode["limit"])
        self.region: tuple[float, float, float, float] = tuple(card.decode["region"])  # xyxy 0..1 of the frame
        low, high = card.decode["usual"]
        self.usual = float(low), float(high)

    def look(self, picture: Array) -> tuple[float, Array]:
        """(H, W, 3) uint8 RGB, the place alone -> how strange, and (h, w) float32 how strange each cell is."""
        self._letterbox.fill(self._model.backend.input, picture)
        strange = self._memory.strangeness(self._head.patches(self._model.backend.run()))
        return normal.strongest(strange), strange

    def warmth(self, strange: Array) -> Array:
        """Strangeness -> (h, w) float32 0..1: 0 as usual, 0.5 at the limit, towards 1 far beyond."""
        over = np.maximum(strange, 0)
        return np.asarray(over / (over + max(self.limit, 1e-6)), np.float32)


class Watcher:
    """Looks at the place of one model file in the frames of one camera, aside."""

    def __init__(self, path: Path, aside: Aside) -> None:
        """Raises ModelError."""
        self._novelty, self._aside = Novelty(path), aside
        self._is_busy = False
        self._answer: Strange | None = None

    def ask(self, frame: Frame) -> bool:
        """Have the frame looked at; False, and nothing happens, while the last answer was not taken."""
        if self._is_busy or 0 in frame.image.strides:  # a picture that was dropped on the way here
            return False
        self._is_busy = True
        xyxy = cut(self._novelty.region, frame.size)
        x1, y1, x2, y2 = xyxy
        picture = frame.image[y1:y2, x1:x2].copy()  # the frame's memory may be the camera's again soon
        self._aside.do(lambda: self._look(frame.t, xyxy, picture))
        return True

    def answer(self) -> Strange | None:
        """What came of it; None while there is none. Each is told once."""
        found, self._answer = self._answer, None
        if found is not None:
            self._is_busy = False
        return found

    def _look(self, t: float, xyxy: tuple[int, int, int, int], picture: Array) -> None:
        try:
            value, strange = self._novelty.look(picture)
        except Exception:
            self._is_busy = False
            raise
        heat = self._novelty.warmth(strange)
        self._answer = Strange(t, xyxy, value, self._novelty.limit, self._novelty.usual, heat)


def cut(region: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A region 0..1 in px of a picture of `size`; at least one pixel."""
    (x1, y1, x2, y2), (width, height) = region, size
    left, top = min(int(x1 * width), width - 1), min(int(y1 * height), height - 1)
    return left, top, max(left + 1, round(x2 * width)), max(top + 1, round(y2 * height))
