"""Precision, recall, pairs and the recommended threshold, against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.data import Detections
from convert.report import accuracy


def boxes(*rows):
    """(x, y, confidence, label) -> 10 px squares."""
    xyxy = np.array([[x, y, x + 10, y + 10] for x, y, _, _ in rows], np.float32).reshape(-1, 4)
    return Detections(xyxy, np.array([r[2] for r in rows], np.float32), np.array([r[3] for r in rows], np.int32))


TRUTH = boxes((0, 0, 1, 0), (50, 50, 1, 0), (100, 0, 1, 1))


def test_precision_and_recall_are_counted_at_each_threshold():
    found = boxes((0, 0, 0.9, 0), (200, 200, 0.8, 0), (50, 50, 0.6, 0), (100, 0, 0.4, 0))
    curve = accuracy.curve([found], [TRUTH])
    for threshold, precision, recall in (
        (0.85, 1, 1 / 3),
        (0.7, 1 / 2, 1 / 3),
        (0.5, 2 / 3, 2 / 3),
        (0.3, 1 / 2, 2 / 3),
    ):
        i = curve.at(threshold)
        assert curve.precision[i] == pytest.approx(precision)
        assert curve.recall[i] == pytest.approx(recall)


def test_an_object_counts_for_one_detection_the_surest():
    right = accuracy.hits(boxes((1, 0, 0.5, 0), (0, 0, 0.9, 0)), TRUTH)
    assert right.tolist() == [False, True]


def test_the_recommended_threshold_undoes_a_shift_of_the_scores():
    generator = np.random.default_rng(0)
    rows = [(0 if sure > generator.random() else 300, 0, sure, 0) for sure in generator.uniform(0.05, 0.95, 3000)]
    float_found = [boxes(row) for row in rows]
    lower = [boxes((x, y, c * 0.8, k)) for x, y, c, k in rows]
    truth = [boxes((0, 0, 1, 0))] * len(rows)
    best = accuracy.recommended(accuracy.curve(float_found, truth), accuracy.curve(lower, truth), 0.6)
    assert best == pytest.approx(0.48, abs=0.03)


def test_the_same_model_keeps_its_threshold():
    curve = accuracy.curve([boxes((0, 0, 0.9, 0), (50, 50, 0.6, 0))], [TRUTH])
    assert accuracy.recommended(curve, curve, 0.4) == pytest.approx(0.4)


@given(st.floats(-4, 4), st.floats(-0.3, 0.3))
def test_box_and_score_errors_are_told_apart(move, drift):
    paired = accuracy.pairs([boxes((50, 50, 0.6, 0))], [boxes((50 + move, 50, 0.6 + drift, 0))])
    if 10 - abs(move) >= 0.5 * (10 + abs(move)) + 1e-3:
        assert paired.shift[0] == pytest.approx(abs(move) / np.hypot(10, 10), abs=1e-5)
        assert np.diff(paired.scores[0])[0] == pytest.approx(drift, abs=1e-5)
        assert paired.alone == (0, 0)


def test_other_labels_do_not_pair():
    paired = accuracy.pairs([boxes((0, 0, 0.6, 0))], [boxes((0, 0, 0.6, 1))])
    assert (len(paired.iou), paired.alone) == (0, (1, 1))
