"""YOLO's boxes against decoding every cell in a loop, as the papers write it, at an input that is not square."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect.heads import LIMIT
from agent.detect.heads.yolo import Head
from agent.modelfile import ModelError, Output
from tests.detect.heads.stored import SIZE, STRIDES, Outputs, cells, chosen, same, sigmoid

LABELS = 5
ANCHORS = [[[10, 13], [16, 30], [33, 23]], [[30, 61], [62, 45], [59, 119]], [[116, 90], [156, 198], [373, 326]]]
V5 = {"box": "anchors", "anchors": ANCHORS}


def outputs_v8(dtype, seed, reg_max=16, score="logit"):
    rng, out = np.random.default_rng(seed), Outputs(dtype)
    for i, s in enumerate(STRIDES):
        shape = (1, SIZE[1] // s, SIZE[0] // s)
        out.add("box", rng.normal(0, 2, (*shape, 4 * reg_max)), s, scale=0.06 + 0.01 * i, zero_point=-20 + 9 * i)
        logits = rng.normal(-1.5, 2, (*shape, LABELS))
        logits = sigmoid(logits) if score == "score" else logits
        out.add(score, logits, s, *((1 / 256, -128) if score == "score" else (0.05 + 0.02 * i, 30 + i)))
    return out


def oracle_v8(real, score="logit", reg_max=16):
    """Softmax over each side's distribution, its mean distance in cells; every cell, every label."""
    rows = []
    for s in STRIDES:
        for y, x in cells(s):
            sides = real["box", s][0, y, x].reshape(4, reg_max)
            if reg_max > 1:
                share = np.exp(sides) / np.exp(sides).sum(axis=1, keepdims=True)
                sides = (share * np.arange(reg_max)).sum(axis=1, keepdims=True)
            left, top, right, bottom = sides[:, 0]
            box = [(x + 0.5 - left) * s, (y + 0.5 - top) * s, (x + 0.5 + right) * s, (y + 0.5 + bottom) * s]
            values = real[score, s][0, y, x]
            values = values if score == "score" else sigmoid(values)
            rows.append([(c, label, box) for label, c in enumerate(values)])
    return rows


def outputs_v5(dtype, seed):
    rng, out = np.random.default_rng(seed), Outputs(dtype)
    for i, s in enumerate(STRIDES):
        shape = (1, SIZE[1] // s, SIZE[0] // s, 3 * (5 + LABELS))
        out.add("grid", rng.normal(0, 2, shape), s, scale=0.05 + 0.01 * i, zero_point=5 * i)
    return out


def oracle_v5(real):
    rows = []
    for s, anchors in zip(STRIDES, ANCHORS, strict=True):
        for y, x in cells(s):
            for t, (anchor_w, anchor_h) in zip(real["grid", s][0, y, x].reshape(3, -1), anchors, strict=True):
                p = sigmoid(t)
                cx, cy = (2 * p[0] - 0.5 + x) * s, (2 * p[1] - 0.5 + y) * s
                w, h = (2 * p[2]) ** 2 * anchor_w, (2 * p[3]) ** 2 * anchor_h
                box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
                rows.append([(p[4] * c, label, box) for label, c in enumerate(p[5:])])
    return rows


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), confidence=st.floats(0.3, 0.9))
def test_distances_are_the_mean_of_their_distribution(dtype, multi_label, seed, confidence):
    out = outputs_v8(dtype, seed)
    found = out.decoded(Head, out.card("yolo", LABELS), seed, confidence, multi_label)
    same(found, chosen(oracle_v8(out.real), confidence, multi_label))


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), confidence=st.floats(0.5, 0.95))
def test_anchors_are_changed_as_v5_does(dtype, multi_label, seed, confidence):
    out = outputs_v5(dtype, seed)
    found = out.decoded(Head, out.card("yolo", LABELS, decode=V5), seed, confidence, multi_label)
    same(found, chosen(oracle_v5(out.real), confidence, multi_label))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_without_a_distribution_distances_are_taken_as_they_are(dtype):
    out = outputs_v8(dtype, 1, reg_max=1)
    found = Head(out.card("yolo", LABELS, decode={"reg_max": 1}), out.tensors, 0.6).decode(out.arrays)
    same(found, chosen(oracle_v8(out.real, reg_max=1), 0.6))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_scores_after_the_sigmoid_are_taken_as_they_are(dtype):
    out = outputs_v8(dtype, 2, score="score")
    found = Head(out.card("yolo", LABELS), out.tensors, 0.6123).decode(out.arrays)
    same(found, chosen(oracle_v8(out.real, score="score"), 0.6123))


def test_distances_hold_where_stored_values_reach_further_than_float32_can_exponentiate():
    out, rng = Outputs("int8"), np.random.default_rng(6)
    for s in STRIDES:
        shape = (1, SIZE[1] // s, SIZE[0] // s)
        out.add("box", rng.uniform(-120, 120, (*shape, 64)), s, scale=1.0, zero_point=0)
        out.add("logit", rng.normal(-1.5, 2, (*shape, LABELS)), s)
    found = Head(out.card("yolo", LABELS), out.tensors, 0.6123).decode(out.arrays)
    same(found, chosen(oracle_v8(out.real), 0.6123))


def test_a_cell_far_down_a_wide_picture_is_where_it_was_worked_out_by_hand():
    """Stride 16, row 3 of 4, column 5 of 6: centre 88, 56; every side 2 cells = 32 px."""
    out = Outputs("float32")
    for s in STRIDES:
        shape = (1, SIZE[1] // s, SIZE[0] // s)
        box, logit = np.zeros((*shape, 64)), np.full((*shape, 2), -9.0)
        if s == 16:
            box[0, 3, 5, [2, 18, 34, 50]] = 50.0
            logit[0, 3, 5, 1] = 2.0
        out.add("box", box, s)
        out.add("logit", logit, s)
    found = Head(out.card("yolo", 2), out.tensors, 0.5).decode(out.arrays)
    np.testing.assert_allclose(found.xyxy, [[56, 24, 120, 88]], atol=1e-3)
    assert found.class_id.tolist() == [1]


@pytest.mark.parametrize("make", [outputs_v8, outputs_v5])
def test_only_the_most_confident_are_kept_when_everything_passes(make):
    out = make("int8", 3)
    rows = oracle_v8(out.real) if make is outputs_v8 else oracle_v5(out.real)
    decode = {} if make is outputs_v8 else V5
    found = Head(out.card("yolo", LABELS, decode=decode), out.tensors, 1e-9, multi_label=True).decode(out.arrays)
    assert len(found) == LIMIT
    every = sorted((c[0] for row in rows for c in row), reverse=True)
    np.testing.assert_allclose(found.confidence, every[:LIMIT], atol=1e-5)


@pytest.mark.parametrize("make", [outputs_v8, outputs_v5])
def test_nothing_passes_a_threshold_that_no_value_reaches(make):
    out = make("int8", 4)
    head = Head(out.card("yolo", LABELS, decode={} if make is outputs_v8 else V5), out.tensors, 0.9999999)
    assert len(head.decode(out.arrays)) == 0


def test_the_answer_does_not_point_into_the_interpreters_memory():
    out = outputs_v8("float32", 5)
    found = Head(out.card("yolo", LABELS), out.tensors, 0.6).decode(out.arrays)
    before = found.xyxy.copy(), found.confidence.copy()
    for array in out.arrays:
        array[...] = 99
    np.testing.assert_array_equal(found.xyxy, before[0])
    np.testing.assert_array_equal(found.confidence, before[1])


BOXES = "model output 'box8' (box) is [1, 8, 12, 64]; stride 8 on 96x64 px and 5 labels want [1, 8, 12, 32]"


@pytest.mark.parametrize(
    ("labels", "decode", "message"),
    [
        (
            *(6, {}),
            "model output 'logit8' (logit) is [1, 8, 12, 5]; stride 8 on 96x64 px and 6 labels want [1, 8, 12, 6]",
        ),
        (5, {"reg_max": 8}, BOXES),
        (5, {"reg_max": 0}, "model card: decode.reg_max must be 1 or more, it is 0"),
        (5, {"box": "dlf"}, "model card, decode: Invalid enum value 'dlf' - at `$.box`"),
        (5, {"anchor": 1}, "model card, decode: Object contains unknown field `anchor`"),
        (
            *(5, V5),
            "model card: head 'yolo' needs outputs with roles grid, each with its stride",
        ),
    ],
    ids=["labels", "reg_max", "no distances", "no such kind", "unknown key", "other family"],
)
def test_a_card_that_is_not_the_outputs_is_refused_at_construction(labels, decode, message):
    out = outputs_v8("int8", 0)
    with pytest.raises(ModelError) as error:
        Head(out.card("yolo", labels, decode=decode), out.tensors, 0.5)
    assert str(error.value) == message


@pytest.mark.parametrize("anchors", [ANCHORS[:2], [*ANCHORS[:2], [[1, 1]]]], ids=["a stride", "an anchor"])
def test_anchors_that_do_not_fit_the_strides_are_refused(anchors):
    out = outputs_v5("int8", 0)
    with pytest.raises(ModelError) as error:
        Head(out.card("yolo", LABELS, decode=V5 | {"anchors": anchors}), out.tensors, 0.5)
    assert str(error.value) == (
        "model card: 3 strides want as many lists of anchors, all of one length;"
        f" decode.anchors has {[len(a) for a in anchors]}"
    )


def test_a_stride_without_its_scores_is_refused():
    out = outputs_v8("int8", 0)
    out.described = [o for o in out.described if (o.role, o.stride) != ("logit", 16)]
    with pytest.raises(ModelError) as error:
        Head(out.card("yolo", LABELS), out.tensors, 0.5)
    assert str(error.value) == (
        "model card: head 'yolo' needs one output with role 'logit' at stride 16;"
        " the card has: box/8, logit/8, box/16, box/32, logit/32"
    )


def test_height_and_width_swapped_are_refused():
    out = outputs_v8("int8", 0)
    out.tensors = [type(t)(t.name, (1, t.shape[2], t.shape[1], t.shape[3]), t.dtype, 0.1, 0) for t in out.tensors]
    out.described = [Output(o.name, o.role, t.shape, o.stride) for o, t in zip(out.described, out.tensors, strict=True)]
    with pytest.raises(ModelError, match=r"is \[1, 12, 8, 64\]; stride 8 on 96x64 px .* want \[1, 8, 12, 64\]"):
        Head(out.card("yolo", LABELS), out.tensors, 0.5)
