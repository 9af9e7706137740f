"""A crop becomes a vector; where the model's card says so, that of the crop and its mirror image together.

Faces look to the left and to the right; the mean of both views is nearer to what they have in common.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agent.data import Array
from agent.detect.heads.embed import unit
from agent.detect.secondary.network import Network


class Embedding:
    """An embedder that is given whole crops. Not for two threads at once."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError: no such file, or no embedder."""
        self._network = Network(path)
        self._head = self._network.model.embedder()
        self.side, self.sha256 = self._network.side, self._network.model.sha256

    def vector(self, picture: Array) -> Array:
        """(H, W, 3) uint8 RGB -> (D,) float32 of length 1, or all 0."""
        seen = self._head.vector(self._network.run(picture)[0])
        if not self._head.mirror:
            return seen
        return unit(seen + self._head.vector(self._network.run(np.ascontiguousarray(picture[:, ::-1]))[0]))
