"""Feature maps of two strides, side by side, beside a naive loop."""

import numpy as np
import pytest

from agent.detect.heads.patches import Head
from agent.modelfile import Card, Input, ModelError, Output, Tensor

CARD = Card(
    "embed", "patches", (), Input((48, 32)),
    (Output("fine", "patches", (1, 4, 6, 2), 8), Output("coarse", "patches", (1, 2, 3, 3), 16)),
)  # fmt: skip
TENSORS = [Tensor("coarse", (1, 2, 3, 3), "int8", 0.5, -3), Tensor("fine", (1, 4, 6, 2), "int8", 0.25, 7)]


def around(real, row, column):
    """The mean of a cell and its neighbours, mirrored at the border."""
    height, width = real.shape[:2]
    rows = [height - 2 if r == height else abs(r) for r in (row - 1, row, row + 1)]
    columns = [width - 2 if c == width else abs(c) for c in (column - 1, column, column + 1)]
    return np.mean([real[r, c] for r in rows for c in columns], axis=0)


def test_a_cell_is_its_neighbourhood_at_every_stride():
    generator = np.random.default_rng(0)
    raw = [generator.integers(-128, 128, tensor.shape).astype(np.int8) for tensor in TENSORS]
    coarse, fine = ((a[0].astype(float) - t.zero_point) * t.scale for a, t in zip(raw, TENSORS, strict=True))
    head = Head(CARD, TENSORS)
    found = head.patches(raw)
    assert head.grid == (2, 3)
    assert found.shape == (2, 3, head.channels) == (2, 3, 5)
    for row in range(2):
        for column in range(3):
            four = [around(fine, 2 * row + r, 2 * column + c) for r in (0, 1) for c in (0, 1)]
            expected = [*np.mean(four, axis=0), *around(coarse, row, column)]
            assert found[row, column] == pytest.approx(expected, abs=1e-4)


def test_an_output_that_is_not_there_is_named():
    with pytest.raises(ModelError, match="model output 'fine' is not in the file; it has: coarse"):
        Head(CARD, TENSORS[:1])


def test_grids_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match="are no grids of one picture"):
        Head(CARD, [Tensor("coarse", (1, 2, 2, 3), "int8", 1.0), TENSORS[1]])
