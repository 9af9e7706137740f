"""Box geometry against naive loops, and far from the origin, where confused formats show."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agent import boxes
from agent.data import Array
from tests.build import xyxy

corners = arrays(np.float32, st.tuples(st.integers(0, 12), st.just(4)), elements=st.integers(0, 500).map(float))


def ordered(raw: Array) -> Array:
    """Any corners -> xyxy with x1 < x2 and y1 < y2, far from the origin."""
    low, high = np.minimum(raw[:, :2], raw[:, 2:]), np.maximum(raw[:, :2], raw[:, 2:])
    return np.concatenate([low, high + 1], axis=1) + np.float32(300)


def naive_iou(a: Array, b: Array) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(0.0, w) * max(0.0, h)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    return float(overlap / union)


def naive_nms(xyxy_: Array, confidence: Array, class_id: Array, threshold: float) -> list[int]:
    kept: list[int] = []
    for row in np.argsort(-confidence, kind="stable"):
        if all(class_id[row] != class_id[k] or naive_iou(xyxy_[row], xyxy_[k]) <= threshold for k in kept):
            kept.append(int(row))
    return kept


@given(corners)
def test_formats_round_trip(raw: Array) -> None:
    rows = ordered(raw)

    np.testing.assert_allclose(boxes.cxcywh_to_xyxy(boxes.xyxy_to_cxcywh(rows)), rows, atol=1e-3)
    xywh = boxes.xyxy_to_xywh(rows)
    np.testing.assert_allclose(np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1), rows)


@given(corners, corners)
def test_iou_equals_the_naive_loop(a: Array, b: Array) -> None:
    a, b = ordered(a), ordered(b)
    expected = np.array([[naive_iou(x, y) for y in b] for x in a]).reshape(len(a), len(b))

    np.testing.assert_allclose(boxes.iou(a, b), expected, atol=1e-5)


def test_iou_of_nothing_with_nothing_is_zero() -> None:
    assert boxes.iou(xyxy([5, 5, 5, 5]), xyxy([5, 5, 5, 5])) == 0


@given(corners, st.sampled_from([0.3, 0.5, 0.7]))
def test_nms_equals_the_naive_loop_whatever_the_order(raw: Array, threshold: float) -> None:
    rows = ordered(raw)
    rng = np.random.default_rng(len(rows))
    confidence = rng.permutation(np.linspace(0.2, 0.9, len(rows), dtype=np.float32))
    class_id = rng.integers(0, 2, len(rows)).astype(np.int32)
    near = np.abs(boxes.iou(rows, rows) - threshold) < 1e-4  # equal to the last bit is nobody's business
    if near.any():
        return

    kept = boxes.nms(rows, confidence, class_id, threshold)
    assert kept.tolist() == naive_nms(rows, confidence, class_id, threshold)

    shuffle = rng.permutation(len(rows))
    again = boxes.nms(rows[shuffle], confidence[shuffle], class_id[shuffle], threshold)
    assert set(shuffle[again].tolist()) == set(kept.tolist())
    assert boxes.nms(rows[kept], confidence[kept], class_id[kept], threshold).tolist() == list(range(len(kept)))


def test_nms_keeps_neighbours_far_from_the_origin() -> None:
    """xyxy handed to an NMS that wants xywh swallows the second box; near the origin nobody would notice."""
    rows = xyxy([600, 400, 640, 480], [640, 400, 680, 480])

    assert boxes.nms(rows, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int32), 0.5).tolist() == [0, 1]


def test_clip_keeps_width_and_height_apart() -> None:
    assert boxes.clip_xyxy(xyxy([-5, -5, 900, 900]), (320, 192)).tolist() == [[0, 0, 320, 192]]
