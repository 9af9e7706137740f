"""The network of a second look: a model file, what fills it, and one thread to run it in."""

from __future__ import annotations

from pathlib import Path

from agent.data import Array
from agent.detect.letterbox import Letterbox, Placement
from agent.detect.model import Model


class Network:
    """A model that is given whole crops. Not for two threads at once."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError: no such file, or one that cannot run."""
        self.model = Model(path, threads=1)
        self.side = max(self.model.card.input.size)  # px
        self._letterbox = Letterbox(self.model.card.input, self.model.backend.inputs[0])

    def run(self, picture: Array) -> tuple[list[Array], Placement]:
        """(H, W, 3) uint8 RGB -> the outputs as a head reads them, and where the picture was in the input."""
        placement = self._letterbox.fill(self.model.backend.input, picture)
        return self.model.backend.run(), placement
