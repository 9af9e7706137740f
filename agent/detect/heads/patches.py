"""Feature maps of a trunk: every cell of a grid has a vector that says what the picture looks like around it.

patches  (1, h, w, C)   one output a stride; finer grids are averaged down to the coarsest, and all are put side by
                        side: (h, w, ΣC). A cell is the mean of itself and its eight neighbours, so that what moves by
                        a pixel looks the same (PatchCore, Roth et al., CVPR 2022, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.data import Array
from agent.detect import outputs as raw
from agent.modelfile import Card, ModelError, Tensor


class Head:
    """Reads one trunk's feature maps. `decode` in the card is for whoever compares them, not for this."""

    def __init__(self, card: Card, outputs: Sequence[Tensor]) -> None:
        names = [output.name for output in card.outputs if output.role == "patches"]
        by_name = {tensor.name: i for i, tensor in enumerate(outputs)}
        missing = [name for name in names if name not in by_name]
        if not names or missing:
            found = ", ".join(by_name)
            raise ModelError(f"model output {(missing or ['patches'])[0]!r} is not in the file; it has: {found}")
        self._maps = [(by_name[name], outputs[by_name[name]]) for name in names]
        shapes = [tensor.shape for _, tensor in self._maps]
        self.grid = min((shape[1], shape[2]) if len(shape) == 4 else (1, 0) for shape in shapes)  # rows, columns
        if not self.grid[1] or any(s[1] // self.grid[0] != s[2] // self.grid[1] for s in shapes):
            raise ModelError(f"model outputs {', '.join(names)} are no grids of one picture: {shapes}")
        self.channels = sum(shape[3] for shape in shapes)

    def patches(self, outputs: Sequence[Array]) -> Array:
        """(h, w, C) float32."""
        return np.concatenate([self._cells(raw.dequantise(outputs[i][0], t)) for i, t in self._maps], axis=2)

    def _cells(self, values: Array) -> Array:
        around = _around(values)
        rows, columns = self.grid
        times = values.shape[0] // rows
        if times == 1:
            return around
        cut = around[: rows * times, : columns * times]
        return np.asarray(cut.reshape(rows, times, columns, times, -1).mean(axis=(1, 3)))


def _around(values: Array) -> Array:
    """(h, w, C): each the mean of 3 × 3; at the border of what is there, mirrored."""
    height, width = values.shape[:2]
    wide = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="reflect" if min(height, width) > 1 else "edge")
    tall = wide[:height] + wide[1 : height + 1] + wide[2:]
    return np.asarray((tall[:, :width] + tall[:, 1 : width + 1] + tall[:, 2:]) / np.float32(9))
