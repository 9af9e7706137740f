"""Finding outputs, and thresholds that agree with the dequantised values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect import outputs as raw
from agent.modelfile import Card, Input, ModelError, Output, Tensor

CARD = Card(
    task="detect",
    head="ssd",
    labels=("person",),
    input=Input(size=(64, 32)),
    outputs=(Output("boxes", "box", (1, 9, 4)), Output("scores", "score", (1, 9, 3))),
)


@given(
    st.sampled_from(["int8", "uint8"]),
    st.floats(1e-4, 2.0),
    st.integers(-128, 255),
    st.floats(-50, 50),
)
def test_threshold_in_stored_values_selects_what_the_real_threshold_does(dtype, scale, zero_point, real):
    t = Tensor("x", (256,), dtype, scale, zero_point)
    info = np.iinfo(dtype)
    stored = np.arange(info.min, info.max + 1).astype(dtype)
    values = (stored.astype(np.float64) - zero_point) * scale
    clear = np.abs(values - real) > 1e-4 * scale  # on the threshold itself rounding decides
    selected = np.zeros(256, bool)
    selected[raw.passing(stored, raw.lowest(t, real))] = True
    np.testing.assert_array_equal(selected[clear], (values >= real)[clear])


def test_a_value_exactly_on_the_threshold_passes():
    t = Tensor("x", (3,), "int8", 0.1, 10)
    stored = np.array([12, 13, 14], np.int8)
    assert raw.passing(stored, raw.lowest(t, 0.3)).tolist() == [1, 2]


def test_thresholds_beyond_the_stored_values_pass_all_or_nothing():
    t = Tensor("x", (4,), "int8", 0.1, 0)
    stored = np.array([-128, 0, 127, 127], np.int8)
    assert raw.lowest(t, 12.8) == math.inf
    assert raw.passing(stored, math.inf).size == 0
    assert raw.lowest(t, -12.8) == -math.inf
    assert raw.passing(stored, -math.inf).size == 4
    assert raw.passing(stored, raw.lowest(t, 12.7)).tolist() == [2, 3]


def test_logit_ends_at_infinity():
    assert raw.logit(0.0) == -math.inf
    assert raw.logit(1.0) == math.inf
    assert raw.logit(0.5) == 0.0


@given(st.floats(-1000, 1000))
def test_sigmoid_inverts_logit_and_never_overflows(x):
    p = raw.sigmoid(np.array([x], np.float32))
    assert 0.0 <= p[0] <= 1.0
    if abs(x) < 8:
        assert raw.logit(float(p[0])) == pytest.approx(x, abs=0.01)


def test_dequantise_gives_float32_and_leaves_floats_alone():
    t = Tensor("x", (2,), "int8", 0.5, -3)
    np.testing.assert_array_equal(raw.dequantise(np.array([-128, 127], np.int8), t), np.array([-62.5, 65.0]))
    assert raw.dequantise(np.array([1.5], np.float32), Tensor("x", (1,), "float32")).dtype == np.float32


def test_an_output_is_found_by_name_then_by_shape_never_by_index():
    box, score = Tensor("boxes", (1, 9, 4), "int8"), Tensor("scores", (1, 9, 3), "int8")
    assert raw.find(CARD, [score, box], "box") == 1
    renamed = Tensor("StatefulPartitionedCall:0", (1, 9, 4), "int8")
    assert raw.find(CARD, [score, renamed], "box") == 1


@pytest.mark.parametrize(
    ("outputs", "role", "message"),
    [
        ([Tensor("boxes", (1, 8, 4), "int8")], "box", r"'boxes' \[1, 9, 4\] \(box\) is not in the file; it has: boxes"),
        ([Tensor("a", (1, 9, 4), "int8"), Tensor("b", (1, 9, 4), "int8")], "box", "is not in the file"),
        ([], "box", "is not in the file"),
        ([], "logit", "needs one output with role 'logit'; the card has: box, score"),
    ],
    ids=["wrong shape", "two alike", "no outputs", "role missing"],
)
def test_a_missing_output_is_a_model_error(outputs, role, message):
    with pytest.raises(ModelError, match=message):
        raw.find(CARD, outputs, role)


@pytest.mark.parametrize("size", [0, 31, 65535, 65536, 70001, 200000])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("hits", [0, 5, 4000])
def test_what_passes_is_found_in_small_and_in_large_arrays(size, dtype, hits):
    rng = np.random.default_rng(size + hits)
    values = rng.integers(0, 90, size).astype(dtype)
    values[rng.integers(0, size, min(hits, size))] = 100 if size else 0
    if size:
        values[-1] = 100  # the end, which no fold may lose
    assert raw.passing(values, 95).tolist() == [i for i, v in enumerate(values.tolist()) if v >= 95]


def test_where_most_pass_nothing_is_lost_either():
    values = np.arange(150_001) % 251
    assert raw.passing(values.astype(np.uint8), 3).tolist() == np.flatnonzero(values >= 3).tolist()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 3)), max_size=40))
def test_the_best_of_each_row_is_its_first_greatest(pairs):
    pairs.sort(key=lambda pair: pair[0])
    rows, values = np.array([p[0] for p in pairs], int), np.array([p[1] for p in pairs], float)
    wanted = [
        max((i for i in range(len(pairs)) if rows[i] == row), key=lambda i: values[i]) for row in sorted(set(rows))
    ]
    assert raw.best_of_rows(rows, values).tolist() == wanted


def test_an_output_of_one_stride_is_found_among_its_like():
    outputs = tuple(Output(f"box{s}", "box", (1, 64 // s, 32 // s, 4), s) for s in (8, 16))
    card = Card("detect", "yolo", ("a",), Input((32, 64)), outputs)
    tensors = [Tensor("box16", (1, 4, 2, 4), "int8"), Tensor("box8", (1, 8, 4, 4), "int8")]
    assert [raw.find(card, tensors, "box", s) for s in (8, 16)] == [1, 0]
    with pytest.raises(ModelError) as error:
        raw.find(card, tensors, "box")
    assert str(error.value) == "model card: head 'yolo' needs one output with role 'box'; the card has: box/8, box/16"
    with pytest.raises(ModelError, match="needs one output with role 'box' at stride 32; the card has: box/8, box/16"):
        raw.find(card, tensors, "box", 32)
