"""Masks against mixing the prototypes of a whole picture, as YOLACT does it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect.heads.yolo_segment import Head
from agent.modelfile import ModelError, Output, Tensor
from tests.detect.heads.stored import SIZE, STRIDES, chosen, same, sigmoid
from tests.detect.heads.test_yolo import LABELS, oracle_v8, outputs_v8

COUNT = 6  # prototypes
HIGH, WIDE = SIZE[1] // 4, SIZE[0] // 4


def outputs(dtype, seed):
    rng, out = np.random.default_rng(seed + 2), outputs_v8(dtype, seed)
    for i, s in enumerate(STRIDES):
        shape = (1, SIZE[1] // s, SIZE[0] // s, COUNT)
        out.add("coefficients", rng.normal(0, 1, shape), s, scale=0.02 + 0.01 * i, zero_point=i)
    out.add("prototypes", rng.normal(0, 1, (1, HIGH, WIDE, COUNT)), None, 0.03, -5)
    return out


def mask_of(prototypes, coefficients, box):
    """sigmoid(prototypes · coefficients) > .5, and cells whose index lies in the box at the prototypes' size."""
    whole = sigmoid(prototypes @ coefficients) > 0.5
    left, top, right, bottom = np.asarray(box) / 4
    y, x = np.mgrid[:HIGH, :WIDE]
    return whole & (x >= left) & (x < right) & (y >= top) & (y < bottom)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), confidence=st.floats(0.6, 0.95))
def test_masks_are_mixed_of_the_prototypes_and_end_at_their_boxes(dtype, seed, confidence):
    out = outputs(dtype, seed)
    tensors, arrays = out.shuffled(seed)
    head = Head(out.card("yolo_segment", LABELS, "segment"), tensors, confidence)
    found, coefficients = head.instances(arrays)
    rows = oracle_v8(out.real)
    same(found, chosen(rows, confidence))
    per_cell = np.concatenate([out.real["coefficients", s].reshape(-1, COUNT) for s in STRIDES])
    boxes = np.array([row[0][2] for row in rows])
    for box, weights in zip(found.xyxy, coefficients, strict=True):
        row = np.abs(boxes - box).max(axis=1).argmin()
        np.testing.assert_allclose(weights, per_cell[row], atol=1e-5)
    masks = head.masks(arrays, found.xyxy, coefficients)
    assert masks.shape == (len(found), HIGH, WIDE)
    prototypes = out.real["prototypes", None][0]
    for mask, weights, box in zip(masks, coefficients, found.xyxy, strict=True):
        wrong = mask != mask_of(prototypes, weights, box)
        assert not (wrong & (np.abs(prototypes @ weights) > 1e-5)).any()  # a sum of 0 may be rounded to either side


def test_a_box_beyond_the_picture_has_the_mask_that_is_inside():
    out = outputs("float32", 0)
    head = Head(out.card("yolo_segment", LABELS, "segment"), out.tensors, 0.5)
    out.arrays[-1][...] = 1.0
    masks = head.masks(out.arrays, np.array([[-50, 8, 16, 900], [200, 0, 300, 9]], np.float32), np.ones((2, COUNT)))
    assert masks[0].sum() == 4 * (HIGH - 2)
    assert masks[1].sum() == 0


def test_missing_or_flat_prototypes_are_refused():
    out = outputs_v8("int8", 0)
    with pytest.raises(ModelError, match="needs one output with role 'prototypes'; the card has: box/8, logit/8"):
        Head(out.card("yolo_segment", LABELS, "segment"), out.tensors, 0.5)
    out.described.append(Output("prototypes", "prototypes", (1, 9)))
    out.tensors.append(Tensor("prototypes", (1, 9), "int8"))
    with pytest.raises(ModelError) as error:
        Head(out.card("yolo_segment", LABELS, "segment"), out.tensors, 0.5)
    assert str(error.value) == "model output 'prototypes' (prototypes) is [1, 9], not [1, h, w, M]"
