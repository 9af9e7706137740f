"""CenterNet's peaks against a search over the whole map, at an input that is not square."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect.heads.centernet import Head
from agent.modelfile import ModelError
from tests.detect.heads.stored import SIZE, Outputs, cells, chosen, same, sigmoid

LABELS, STRIDE = 3, 4  # 24 × 16 cells
SHAPE = (1, SIZE[1] // STRIDE, SIZE[0] // STRIDE)


def outputs(dtype, seed, *, sides=2, has_offset=True, score="logit"):
    rng, out = np.random.default_rng(seed), Outputs(dtype)
    logits = rng.normal(-1, 2, (*SHAPE, LABELS))
    quant = (1 / 256, -128) if score == "probability" else (0.05, 20)
    out.add("heat", sigmoid(logits) if score == "probability" else logits, STRIDE, *quant)
    out.add("size", rng.uniform(0, 9, (*SHAPE, sides)), STRIDE, 0.04, -128)
    if has_offset:
        out.add("offset", rng.uniform(0, 1, (*SHAPE, 2)), STRIDE, 1 / 256, -128)
    return out


def oracle(real, decode):
    """Source project's way: a maximum filter over everything, then those that are their own maximum."""
    heat = real["heat", STRIDE][0]
    heat = heat if decode.get("score") == "probability" else sigmoid(heat)
    padded = np.pad(heat, ((1, 1), (1, 1), (0, 0)), constant_values=-1)
    greatest = np.max([padded[i : i + SHAPE[1], j : j + SHAPE[2]] for i in range(3) for j in range(3)], axis=0)
    unit = STRIDE if decode.get("size", "cells") == "cells" else 1
    rows = []
    for y, x in cells(STRIDE):
        size = real["size", STRIDE][0, y, x] * unit
        offset = np.array([decode.get("centre", 0.5)] * 2)
        if ("offset", STRIDE) in real:
            offset = real["offset", STRIDE][0, y, x] + decode.get("centre", 0)
        if decode.get("order") == "yx":
            offset, size = offset[::-1], size.reshape(-1, 2)[:, ::-1].ravel()
        cx, cy = (x + offset[0]) * STRIDE, (y + offset[1]) * STRIDE
        left, top, right, bottom = size if len(size) == 4 else (*size / 2, *size / 2)
        box = [cx - left, cy - top, cx + right, cy + bottom]
        rows.append([(heat[y, x, k], k, box) for k in range(LABELS) if heat[y, x, k] == greatest[y, x, k]])
    return rows


CASES = {
    "sizes and offsets in cells": ({}, {}),
    "no offsets: the middle of the cell": ({"has_offset": False}, {}),
    "distances in px from the corner": ({"has_offset": False, "sides": 4}, {"size": "px", "centre": 0.0}),
    "y before x": ({}, {"order": "yx"}),
    "distances, y before x": ({"sides": 4}, {"order": "yx"}),
    "after the sigmoid": ({"score": "probability"}, {"score": "probability"}),
}


@pytest.mark.parametrize(("made", "decode"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), confidence=st.floats(0.3, 0.9), multi_label=st.booleans())
def test_peaks_are_those_of_a_filter_over_the_whole_map(made, decode, dtype, seed, confidence, multi_label):
    out = outputs(dtype, seed, **made)
    tensors, arrays = out.shuffled(seed)
    found = Head(out.card("centernet", LABELS, decode=decode), tensors, confidence, multi_label).decode(arrays)
    same(found, chosen(oracle(out.real, decode), confidence, multi_label))


def test_a_peak_in_each_corner_is_found_and_its_slopes_are_not():
    out = Outputs("int8")
    heat = np.full((*SHAPE, LABELS), -5.0)
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        heat[0, y, x, 1] = 3.0
        heat[0, y, x - 1 if x else 1, 1] = 2.0
    out.add("heat", heat, STRIDE)
    out.add("size", np.ones((*SHAPE, 2)), STRIDE)
    found = Head(out.card("centernet", LABELS), out.tensors, 0.5).decode(out.arrays)
    centres = sorted(((found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2).tolist())
    assert centres == [[2, 2], [2, 62], [94, 2], [94, 62]]


def test_neighbours_of_other_labels_do_not_hide_a_peak():
    out = Outputs("int8")
    heat = np.full((*SHAPE, LABELS), -5.0)
    heat[0, 5, 5, 0], heat[0, 5, 6, 1] = 2.0, 3.0
    out.add("heat", heat, STRIDE)
    out.add("size", np.ones((*SHAPE, 2)), STRIDE)
    found = Head(out.card("centernet", LABELS), out.tensors, 0.5).decode(out.arrays)
    assert found.class_id.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("made", "labels", "decode", "message"),
    [
        (
            *({}, 5, {}),
            "model outputs: 5 labels want heat [1, 16, 24, 5], size [1, 16, 24, 2 or 4] and offset [1, 16, 24, 2];"
            " they are [1, 16, 24, 3], [1, 16, 24, 2], [1, 16, 24, 2]",
        ),
        (
            *({"sides": 3}, 3, {}),
            "model outputs: 3 labels want heat [1, 16, 24, 3], size [1, 16, 24, 2 or 4] and offset [1, 16, 24, 2];"
            " they are [1, 16, 24, 3], [1, 16, 24, 3], [1, 16, 24, 2]",
        ),
        ({}, 3, {"size": "ltrb"}, "model card, decode: Invalid enum value 'ltrb' - at `$.size`"),
    ],
    ids=["labels", "sizes", "no such unit"],
)
def test_a_card_that_is_not_the_outputs_is_refused_at_construction(made, labels, decode, message):
    out = outputs("int8", 0, **made)
    with pytest.raises(ModelError) as error:
        Head(out.card("centernet", labels, decode=decode), out.tensors, 0.5)
    assert str(error.value) == message
