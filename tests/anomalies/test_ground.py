"""Places in the picture are metres on the ground."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.anomalies.parts.ground import Ground, on_ground

PICTURE = ((0.1, 0.9), (0.9, 0.9), (0.7, 0.3), (0.3, 0.3))
METRES = ((0.0, 0.0), (8.0, 0.0), (8.0, 24.0), (0.0, 24.0))


def test_the_four_points_are_where_they_were_measured() -> None:
    made = on_ground(Ground(PICTURE, METRES).matrix(), np.array(PICTURE))

    np.testing.assert_allclose(made, METRES, atol=1e-3)


@given(st.floats(0.0, 8.0), st.floats(0.0, 24.0))
def test_there_and_back(x: float, y: float) -> None:
    matrix = Ground(PICTURE, METRES).matrix()
    a, b, c = np.linalg.inv(matrix) @ (x, y, 1.0)

    np.testing.assert_allclose(on_ground(matrix, np.array([[a / c, b / c]]))[0], (x, y), atol=1e-6)


def test_far_away_a_step_in_the_picture_is_more_metres() -> None:
    near, less_near, far, further = on_ground(
        Ground(PICTURE, METRES).matrix(), np.array([[0.5, 0.9], [0.5, 0.85], [0.5, 0.35], [0.5, 0.3]])
    )

    assert further[1] - far[1] > 3 * (less_near[1] - near[1]) > 0


def test_beyond_the_horizon_there_is_no_ground() -> None:
    assert np.isnan(on_ground(Ground(PICTURE, METRES).matrix(), np.array([[0.5, -0.7]]))).all()


def test_three_points_on_one_line_are_refused() -> None:
    with pytest.raises(ValueError, match="picture: three of the four points lie on one straight line"):
        Ground(((0.1, 0.1), (0.5, 0.5), (0.9, 0.9), (0.1, 0.9)), METRES)
