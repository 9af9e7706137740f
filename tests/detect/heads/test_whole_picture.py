"""Heads without boxes: scores, masks, vectors, pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect.heads import classify, embed, reconstruct, segment
from agent.modelfile import ModelError
from tests.detect.heads.stored import Outputs, sigmoid

DTYPES = pytest.mark.parametrize("dtype", ["int8", "float32"])


def one(role, values, dtype, *quant):
    out = Outputs(dtype)
    out.add(role, np.asarray(values, float), None, *quant)
    return out, next(iter(out.real.values()))


@DTYPES
@settings(deadline=None)
@given(values=st.lists(st.floats(-8, 8), min_size=2, max_size=9))
def test_logits_become_shares_that_are_one_together(dtype, values):
    out, real = one("logit", [values], dtype)
    scores = classify.Head(out.card("classify", len(values), "classify"), out.tensors).scores(out.arrays)
    np.testing.assert_allclose(scores, (np.exp(real) / np.exp(real).sum())[0], atol=1e-5)
    assert scores.dtype == np.float32


@DTYPES
def test_labels_that_do_not_exclude_each_other_have_a_sigmoid_each(dtype):
    out, real = one("logit", [[[[3.0, -2.0, 1.0]]]], dtype)
    card = out.card("classify", 3, "classify", decode={"activation": "sigmoid"})
    scores = classify.Head(card, out.tensors).scores(out.arrays)
    np.testing.assert_allclose(scores, sigmoid(real).ravel(), atol=1e-6)


@DTYPES
def test_scores_are_taken_as_they_are_and_belong_to_the_caller(dtype):
    out, real = one("score", [[0.7, 0.2, 0.1]], dtype, 1 / 256, -128)
    scores = classify.Head(out.card("classify", 3, "classify"), out.tensors).scores(out.arrays)
    out.arrays[0][...] = 0
    np.testing.assert_allclose(scores, real[0], atol=1e-6)


@pytest.mark.parametrize(("role", "value", "second"), [("score", 0.8, 0.8), ("logit", 2.0, float(sigmoid(2.0)))])
def test_one_number_and_two_labels_is_a_question_with_yes_and_no(role, value, second):
    out, _ = one(role, [[value]], "float32")
    scores = classify.Head(out.card("classify", 2, "classify"), out.tensors).scores(out.arrays)
    np.testing.assert_allclose(scores, [1 - second, second], atol=1e-6)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([0.5, 0.25, 0.25], [0.5, 0.25, 0.25]), ([2.0, 2.0, -50.0], [0.5, 0.5, 0.0]), ([0.3, 0.3, 0.3], [1 / 3] * 3)],
)
def test_a_foreign_classifier_gets_a_softmax_unless_it_has_one(values, wanted):
    out, _ = one("score", [values], "float32")
    card = out.card("classify", 3, "classify", decode={"activation": "auto"})
    np.testing.assert_allclose(classify.Head(card, out.tensors).scores(out.arrays), wanted, atol=1e-6)


@DTYPES
@pytest.mark.parametrize("role", ["score", "logit"])
@settings(deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_cell_has_the_label_of_its_greatest_score(dtype, role, seed):
    out, real = one(role, np.random.default_rng(seed).normal(0, 2, (1, 4, 7, 5)), dtype)
    mask = segment.Head(out.card("segment", 5, "segment"), out.tensors).mask(out.arrays)
    assert mask.dtype == np.int32
    wanted = [[int(np.argmax(real[0, y, x])) for x in range(7)] for y in range(4)]
    assert mask.tolist() == wanted


@DTYPES
@pytest.mark.parametrize(("role", "least"), [("score", 0.5), ("logit", 0.0)])
def test_one_channel_and_two_labels_is_a_threshold(dtype, role, least):
    values = np.linspace(-1, 1.5, 28).reshape(1, 4, 7, 1)
    out, real = one(role, values, dtype, 0.013, 3)
    mask = segment.Head(out.card("segment", 2, "segment"), out.tensors).mask(out.arrays)
    np.testing.assert_array_equal(mask, real[0, ..., 0] >= least)


@pytest.mark.parametrize("shape", [(1, 3, 5), (1, 3, 5, 1)])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
def test_a_mask_of_labels_is_taken_as_it_is(shape, dtype):
    out, _ = one("mask", np.zeros(shape), "float32")
    labels = np.arange(15, dtype=dtype).reshape(shape)
    mask = segment.Head(out.card("segment", 12, "segment"), out.tensors).mask([labels])
    assert mask.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 11, 11, 11]]  # beyond the last: the last


@DTYPES
@settings(deadline=None)
@given(values=st.lists(st.floats(-8, 8).filter(lambda v: abs(v) > 0.1), min_size=1, max_size=20))
def test_a_vector_has_length_one_and_its_direction(dtype, values):
    out, real = one("vector", [values], dtype)
    vector = embed.Head(out.card("embed", 0, "embed"), out.tensors).vector(out.arrays)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(vector * np.linalg.norm(real), real[0], atol=1e-4)


def test_a_card_says_whether_the_mirror_image_counts_too():
    out, _ = one("vector", [[1.0, 2.0]], "int8")
    heads = [embed.Head(out.card("embed", 0, "embed", decode=said), out.tensors) for said in ({}, {"mirror": True})]
    assert [head.mirror for head in heads] == [False, True]


def test_a_vector_of_nothing_stays_nothing():
    out, _ = one("vector", np.zeros((1, 1, 1, 4)), "int8")
    vector = embed.Head(out.card("embed", 0, "embed"), out.tensors).vector(out.arrays)
    assert vector.tolist() == [0, 0, 0, 0]


@DTYPES
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_comes_in_real_values(dtype, channels):
    out, real = one("image", np.random.default_rng(0).uniform(-1, 1, (1, 4, 6, channels)), dtype, 1 / 128, 0)
    image = reconstruct.Head(out.card("reconstruct", 0, "reconstruct"), out.tensors).image(out.arrays)
    before = image.copy()
    out.arrays[0][...] = 0
    np.testing.assert_array_equal(image, before)
    np.testing.assert_allclose(image, real[0], atol=1e-6)


WRONG = [
    (classify, "classify", "score", (1, 3), 4, {}, "model output 'score' is [1, 3]; 4 labels want [1, 4]"),
    (classify, "classify", "score", (1, 2, 2), 4, {}, "model output 'score' is [1, 2, 2]; 4 labels want [1, 4]"),
    (
        *(classify, "classify", "score", (1, 3), 3, {"activation": "relu"}),
        "model card, decode: Invalid enum value 'relu' - at `$.activation`",
    ),
    (
        *(segment, "segment", "logit", (1, 4, 7, 5), 6, {}),
        "model output 'logit' (logit) is [1, 4, 7, 5]; 6 labels want [1, h, w, 6]",
    ),
    (
        *(segment, "segment", "mask", (1, 4, 7, 5), 6, {}),
        "model output 'mask' (mask) is [1, 4, 7, 5]; 6 labels want [1, h, w]",
    ),
    (
        *(segment, "segment", "box", (1, 4), 6, {}),
        "model card: head 'segment' needs one output with role 'mask'; the card has: box",
    ),
    (embed, "embed", "vector", (1, 2, 3), 0, {}, "model output 'vector' (vector) is [1, 2, 3], not [1, D]"),
    (embed, "embed", "vector", (1, 3), 0, {"size": 3}, "model card, decode: Object contains unknown field `size`"),
    (
        *(reconstruct, "reconstruct", "image", (1, 4, 6, 2), 0, {}),
        "model output 'image' (image) is [1, 4, 6, 2], not [1, h, w, 3 or 1]",
    ),
]


@pytest.mark.parametrize(("head", "task", "role", "shape", "labels", "decode", "message"), WRONG)
def test_a_card_that_is_not_the_output_is_refused_at_construction(head, task, role, shape, labels, decode, message):
    out, _ = one(role, np.zeros(shape), "int8")
    with pytest.raises(ModelError) as error:
        head.Head(out.card(task, labels, task, decode=decode), out.tensors)
    assert str(error.value) == message
