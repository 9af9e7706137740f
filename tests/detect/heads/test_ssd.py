"""Hand-placed logits must land on boxes worked out by hand, at an input that is not square."""

import math

import msgspec
import numpy as np
import pytest

from agent.detect.heads import LIMIT
from agent.detect.heads.ssd import Anchors, Head, anchors_cxcywh
from agent.modelfile import Card, Input, ModelError, Output, Tensor

# 320 × 160 px; grid 0 is 4 × 2 cells of 80 px with 3 anchors, grid 1 is 2 × 1 cells of 160 px with 6: N = 24 + 12
ANCHORS = {"grids": [[4, 2], [2, 1]], "min_scale": 0.2, "max_scale": 0.8}
N = 36
COLUMNS = (1, 2, 4)  # column 0 is background, column 3 a gap
SCALE, ZERO = 0.1, 7


def card(role="logit", **changes):
    plain = {
        "task": "detect",
        "head": "ssd",
        "labels": ("person", "car", "dog"),
        "input": Input(size=(320, 160), resize="stretch"),
        "outputs": (Output("boxes", "box", (1, N, 4)), Output("scores", role, (1, N, 5))),
        "decode": {"anchors": ANCHORS, "columns": list(COLUMNS)},
    }
    return Card(**(plain | changes))


def tensors(dtype="int8"):
    quant = (SCALE, ZERO) if dtype == "int8" else (0.0, 0)
    return [Tensor("scores", (1, N, 5), dtype, *quant), Tensor("boxes", (1, N, 4), dtype, *quant)]


def arrays(hits, boxes=(), dtype="int8"):
    """[scores, boxes] with logit -10 everywhere but at hits (row, column, logit); boxes (row, ty, tx, th, tw)."""
    logits, encoded = np.full((1, N, 5), -10.0), np.zeros((1, N, 4))
    for row, column, value in hits:
        logits[0, row, column] = value
    for row, *t in boxes:
        encoded[0, row] = t
    if dtype == "float32":
        return [logits.astype(np.float32), encoded.astype(np.float32)]
    return [np.clip(np.round(a / SCALE) + ZERO, -128, 127).astype(np.int8) for a in (logits, encoded)]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_anchors_stand_where_they_were_worked_out_by_hand():
    a = anchors_cxcywh(msgspec.convert(ANCHORS, Anchors), (320, 160))
    assert a.shape == (N, 4)
    np.testing.assert_allclose(a[0], [40, 40, 16, 16])  # 0.1 of the shorter side
    root = math.sqrt(2)
    np.testing.assert_allclose(a[1], [40, 40, 32 * root, 32 / root], rtol=1e-6)  # scale 0.2, twice as wide as high
    np.testing.assert_allclose(a[2], [40, 40, 32 / root, 32 * root], rtol=1e-6)
    np.testing.assert_allclose(a[3 * 3, :2], [280, 40])  # the last cell of the first row
    np.testing.assert_allclose(a[4 * 3, :2], [40, 120])  # then the second row
    np.testing.assert_allclose(a[24], [80, 80, 128, 128])  # grid 1, scale 0.8
    np.testing.assert_allclose(a[29], [80, 80, 160 * math.sqrt(0.8), 160 * math.sqrt(0.8)], rtol=1e-6)
    np.testing.assert_allclose(a[30, :2], [240, 80])


def test_anchor_count_is_that_of_the_well_known_300_px_net():
    grids = ((19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1))
    assert len(anchors_cxcywh(Anchors(grids), (300, 300))) == 1917


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_hand_placed_logit_lands_on_its_box(dtype):
    """Row 9: anchor at 280, 40 of 16 × 16; ty 5, tx -10 move it by 0.5 and -1 sizes, th = 5 ln 2 doubles its height."""
    t = (5.0, -10.0, 5 * math.log(2), 0.0)
    found = Head(card(), tensors(dtype), 0.5).decode(arrays([(9, 2, 2.0)], [(9, *t)], dtype))
    assert found.class_id.tolist() == [1]
    assert found.confidence[0] == pytest.approx(sigmoid(2.0), abs=1e-3)
    np.testing.assert_allclose(found.xyxy, [[256, 32, 272, 64]], atol=0.2)


def test_scores_after_the_sigmoid_are_taken_as_they_are():
    head = Head(card("score"), tensors("float32"), 0.5)
    found = head.decode(arrays([(9, 2, 0.75), (10, 2, 0.49)], dtype="float32"))
    assert found.confidence.tolist() == [0.75]


def test_int8_and_float_see_the_same():
    hits = [(0, 1, 1.0), (13, 4, 3.0), (35, 2, 0.5)]
    boxes = [(0, 1, 2, -1, 1), (13, -3, 0, 2, -2), (35, 0, 0, 0, 0)]
    small = Head(card(), tensors(), 0.5).decode(arrays(hits, boxes))
    real = Head(card(), tensors("float32"), 0.5).decode(arrays(hits, boxes, "float32"))
    assert small.class_id.tolist() == real.class_id.tolist() == [2, 0, 1]
    np.testing.assert_allclose(small.xyxy, real.xyxy, atol=0.5)
    np.testing.assert_allclose(small.confidence, real.confidence, atol=1e-4)


def test_background_and_gap_columns_are_never_reported():
    found = Head(card(), tensors(), 0.5).decode(arrays([(3, 0, 9.0), (4, 3, 9.0), (5, 1, 1.0), (5, 3, 8.0)]))
    assert found.class_id.tolist() == [0]


def test_an_anchor_has_its_best_label_unless_all_are_asked_for():
    hits = [(6, 1, 1.0), (6, 4, 2.0), (7, 2, 1.5)]
    assert Head(card(), tensors(), 0.5).decode(arrays(hits)).class_id.tolist() == [2, 1]
    assert Head(card(), tensors(), 0.5, multi_label=True).decode(arrays(hits)).class_id.tolist() == [2, 1, 0]


def test_nothing_above_the_threshold_is_an_empty_answer():
    found = Head(card(), tensors(), 0.5).decode(arrays([(6, 1, -0.2)]))
    assert len(found) == 0


def test_a_threshold_that_no_stored_value_reaches_finds_nothing():
    """Zero point 7, scale 0.1: the greatest logit is 12, so 0.9999999 (logit 16) cannot be."""
    found = Head(card(), tensors(), 0.9999999).decode(arrays([(6, 1, 12.0)]))
    assert len(found) == 0


def test_a_threshold_below_every_stored_value_lets_all_anchors_through():
    found = Head(card(), tensors(), 1e-9).decode(arrays([]))
    assert len(found) == N


def test_rows_fall_in_confidence_and_are_capped():
    """(8, 8) cells give 8·8·3 = 192 anchors, three labels each: 576 candidates."""
    anchors = {"grids": [[8, 8]]}
    outputs = (Output("boxes", "box", (1, 192, 4)), Output("scores", "logit", (1, 192, 5)))
    many = card(outputs=outputs, decode={"anchors": anchors, "columns": list(COLUMNS)})
    shapes = [Tensor("scores", (1, 192, 5), "int8", 0.05, 0), Tensor("boxes", (1, 192, 4), "int8", 0.05, 0)]
    scores = np.random.default_rng(0).integers(0, 128, (1, 192, 5)).astype(np.int8)
    found = Head(many, shapes, 0.4, multi_label=True).decode([scores, np.zeros((1, 192, 4), np.int8)])
    assert len(found) == LIMIT
    assert np.all(np.diff(found.confidence) <= 0)
    kept = np.sort(scores[0][:, list(COLUMNS)].ravel())[::-1][:LIMIT]
    np.testing.assert_allclose(found.confidence, 1 / (1 + np.exp(-0.05 * kept.astype(float))), atol=1e-6)


def test_the_answer_does_not_point_into_the_interpreters_memory():
    raw = arrays([(9, 2, 2.0)], dtype="float32")
    found = Head(card(), tensors("float32"), 0.5).decode(raw)
    before = found.xyxy.copy(), found.confidence.copy()
    for array in raw:
        array[...] = 99
    np.testing.assert_array_equal(found.xyxy, before[0])
    np.testing.assert_array_equal(found.confidence, before[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decode": {"columns": [1, 2, 4]}}, "model card, decode: Object missing required field `anchors`"),
        ({"decode": {"anchors": ANCHORS, "columns": [1, 2]}}, "3 labels but 2 decode.columns"),
        ({"decode": {"anchors": ANCHORS, "columns": [1, 2, 5]}}, r"decode.columns must lie in 0\.\.4"),
        (
            {"decode": {"anchors": {"grids": [[4, 2]]}, "columns": [1, 2, 4]}},
            r"24 anchors by the card want .* \[1, 36, 4\]",
        ),
        ({"outputs": (Output("boxes", "box", (1, N, 4)),)}, "needs one output with role 'score'; the card has: box"),
        ({"outputs": (Output("b", "box", (1, 9, 4)), Output("scores", "logit", (1, N, 5)))}, "is not in the file"),
    ],
    ids=["no anchors", "columns and labels", "column beyond", "anchors and outputs", "no scores", "no such shape"],
)
def test_a_card_that_is_not_the_graphs_is_refused_at_construction(changes, message):
    with pytest.raises(ModelError, match=message):
        Head(card(**changes), tensors(), 0.5)
