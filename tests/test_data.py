"""The structs of arrays that cross rooms."""

import numpy as np
import pytest

from agent.data import Detections, Tracks
from tests.build import detections


def test_rows_are_picked_by_mask_index_and_slice() -> None:
    rows = detections([0, 0, 1, 1, 0.9], [0, 0, 2, 2, 0.8], [0, 0, 3, 3, 0.7])

    assert rows[rows.confidence > 0.75].xyxy[:, 2].tolist() == [1, 2]
    assert rows[np.array([2, 0])].confidence.tolist() == pytest.approx([0.7, 0.9])
    assert len(rows[:1]) == 1


def test_a_wrong_column_says_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"xyxy must be float32 \(N, 4\) with N = 3, got float64 \(3, 5\)"):
        Detections(np.zeros((3, 5)), np.zeros(3, np.float32), np.zeros(3, np.int32))
    with pytest.raises(ValueError, match=r"class_id must be int32 \(N,\) with N = 2, got int32 \(3,\)"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(2, np.float32), np.zeros(3, np.int32))


def test_empty_and_concatenate() -> None:
    assert len(Tracks.empty()) == 0
    assert len(Detections.concatenate([])) == 0
    both = Detections.concatenate([detections([0, 0, 1, 1, 0.5]), detections([5, 5, 6, 6, 0.4])])
    assert both.xyxy[:, 0].tolist() == [0, 5]
