"""Ultralytics' one tensor, in each of its layouts, against reading it candidate by candidate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect.heads import LIMIT
from agent.detect.heads.ultralytics import Head
from agent.modelfile import ModelError
from tests.detect.heads.stored import SIZE, Outputs, chosen, same

LABELS, N = 3, 126


def table(seed, extra=0, objectness=False):
    """(N, columns) as their exporter writes it: boxes in fractions, scores 0..1."""
    rng = np.random.default_rng(seed)
    columns = [rng.uniform(0, 1, (N, 4)), rng.uniform(0, 1, (N, objectness + LABELS)), rng.uniform(-0.5, 1, (N, extra))]
    return np.concatenate(columns, axis=1)


def outputs(dtype, values, in_rows=False):
    out = Outputs(dtype)
    out.add("predictions", (values if in_rows else values.T)[None], None, 1 / 127, -20)
    return out


def real(out, in_rows=False):
    values = out.real["predictions", None][0]
    return values if in_rows else values.T


def oracle(values, objectness=False, px=SIZE):
    rows = []
    for cx, cy, w, h, *rest in values[:, : 4 + objectness + LABELS]:
        is_object, scores = (rest[0], rest[1:]) if objectness else (1.0, rest)
        box = [(cx - w / 2) * px[0], (cy - h / 2) * px[1], (cx + w / 2) * px[0], (cy + h / 2) * px[1]]
        rows.append([(is_object * c, label, box) for label, c in enumerate(scores)])
    return rows


@pytest.mark.parametrize("objectness", [False, True], ids=["v8", "v5"])
@pytest.mark.parametrize("in_rows", [False, True], ids=["columns", "rows"])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), confidence=st.floats(0.3, 0.95), multi_label=st.booleans())
def test_every_candidate_that_passes_is_there(objectness, in_rows, dtype, seed, confidence, multi_label):
    out = outputs(dtype, table(seed, objectness=objectness), in_rows)
    card = out.card("ultralytics", LABELS, decode={"objectness": objectness})
    found = Head(card, out.tensors, confidence, multi_label).decode(out.arrays)
    same(found, chosen(oracle(real(out, in_rows), objectness), confidence, multi_label))


def test_boxes_in_px_are_taken_as_they_are():
    values = table(0) * np.array([*SIZE, *SIZE, 1, 1, 1])
    out = outputs("float32", values)
    card = out.card("ultralytics", LABELS, decode={"boxes": "px"})
    same(Head(card, out.tensors, 0.5).decode(out.arrays), chosen(oracle(real(out), px=(1, 1)), 0.5))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_graph_that_has_suppressed_gives_corners_score_and_class(dtype):
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.uniform(0, 1, (20, 5)), rng.integers(0, 2, (20, 1)).astype(float)], axis=1)
    values[:, 5] *= dtype == "float32"  # 8 bits of one scale do not hold class ids
    values[3, 5] = 7 if dtype == "float32" else 0
    out = outputs(dtype, values, in_rows=True)
    card = out.card("ultralytics", LABELS, decode={"suppressed": True})
    found = Head(card, out.tensors, 0.412).decode(out.arrays)
    wide, high = SIZE
    rows = [
        [(score, int(label), [x1 * wide, y1 * high, x2 * wide, y2 * high])]
        for x1, y1, x2, y2, score, label in real(out, in_rows=True).round(9)
        if label < LABELS
    ]
    same(found, chosen(rows, 0.412))


def test_a_graph_that_has_suppressed_has_keypoints_behind_the_class():
    values = np.random.default_rng(9).uniform(0, 1, (20, 6 + 12))
    values[:, 5] = 0
    out = outputs("float32", values, in_rows=True)
    card = out.card("ultralytics", 1, "pose", decode={"suppressed": True, "keypoints": [4, 3]})
    found, keypoints = Head(card, out.tensors, 0.6).poses(out.arrays)
    order = [i for i in np.argsort(-values[:, 4]) if values[i, 4] >= 0.6]
    np.testing.assert_allclose(found.xyxy, values[order, :4] * [*SIZE, *SIZE], rtol=1e-5)
    wanted = values[order, 6:].reshape(-1, 4, 3) * [*SIZE, 1]
    np.testing.assert_allclose(keypoints, wanted, rtol=1e-5)


@pytest.mark.parametrize("numbers", [2, 3])
def test_keypoints_are_px_and_visible_where_nothing_says_how_much(numbers):
    values = table(5, extra=4 * numbers)
    out = outputs("float32", values)
    card = out.card("ultralytics", LABELS, "pose", decode={"keypoints": [4, numbers]})
    found, keypoints = Head(card, out.tensors, 0.9).poses(out.arrays)
    boxes = np.array([row[0][2] for row in oracle(real(out))])
    assert keypoints.shape == (len(found), 4, 3)
    for box, skeleton in zip(found.xyxy, keypoints, strict=True):
        raw = values[np.abs(boxes - box).max(axis=1).argmin(), 4 + LABELS :].reshape(4, numbers)
        np.testing.assert_allclose(skeleton[:, :2], raw[:, :2] * SIZE, atol=1e-3)
        np.testing.assert_allclose(skeleton[:, 2], raw[:, 2] if numbers == 3 else 1.0, atol=1e-5)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_masks_come_from_prototypes_in_either_layout(layout):
    rng = np.random.default_rng(6)
    prototypes = rng.normal(0, 1, (1, SIZE[1] // 4, SIZE[0] // 4, 5))
    out = outputs("float32", table(6, extra=5))
    out.add("prototypes", np.moveaxis(prototypes, 3, 1) if layout == "NCHW" else prototypes)
    card = out.card("ultralytics", LABELS, "segment")
    fed = type(card.input)(SIZE, layout=layout)
    head = Head(type(card)("segment", "ultralytics", card.labels, fed, card.outputs), out.tensors, 0.9)
    found, coefficients = head.instances(out.arrays)
    boxes = np.array([row[0][2] for row in oracle(real(out))])
    rows = [np.abs(boxes - box).max(axis=1).argmin() for box in found.xyxy]
    np.testing.assert_allclose(coefficients, real(out)[rows][:, 4 + LABELS :], atol=1e-5)
    everywhere = np.array([[0, 0, *SIZE]], np.float32)
    mask = head.masks(out.arrays, everywhere, coefficients[:1])[0]
    assert np.count_nonzero(mask != (prototypes[0] @ coefficients[0] > 0)) <= 1


def test_only_the_most_confident_are_kept():
    values = np.concatenate([np.full((500, 4), 0.5), np.linspace(0.5, 1, 500)[:, None].repeat(LABELS, 1)], axis=1)
    out = outputs("float32", values)
    found = Head(out.card("ultralytics", LABELS), out.tensors, 0.4).decode(out.arrays)
    assert len(found) == LIMIT
    np.testing.assert_allclose(found.confidence, np.linspace(0.5, 1, 500)[::-1][:LIMIT], atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "decode", "message"),
    [
        (
            *(4, {}),
            "model output 'predictions' (predictions) is [1, 7, 126]; the card wants 8 numbers a candidate:"
            " [1, 8, N] or [1, N, 8]",
        ),
        (
            *(3, {"keypoints": [17, 3]}),
            "model output 'predictions' (predictions) is [1, 7, 126]; the card wants 58 numbers a candidate:"
            " [1, 58, N] or [1, N, 58]",
        ),
        (3, {"boxes": "cm"}, "model card, decode: Invalid enum value 'cm' - at `$.boxes`"),
    ],
    ids=["labels", "keypoints", "no such unit"],
)
def test_a_card_that_is_not_the_output_is_refused_at_construction(labels, decode, message):
    out = outputs("int8", table(0))
    with pytest.raises(ModelError) as error:
        Head(out.card("ultralytics", labels, decode=decode), out.tensors, 0.5)
    assert str(error.value) == message
