"""Skeletons against decoding every cell in a loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect.heads.pose import Head
from agent.modelfile import ModelError
from tests.detect.heads.stored import SIZE, STRIDES, cells, chosen, same, sigmoid
from tests.detect.heads.test_yolo import LABELS, oracle_v8, outputs_v8

KEYPOINTS = 4
DECODE = {"box": "dfl", "reg_max": 16, "keypoints": KEYPOINTS}


def outputs(dtype, seed):
    rng, out = np.random.default_rng(seed + 1), outputs_v8(dtype, seed)
    for i, s in enumerate(STRIDES):
        shape = (1, SIZE[1] // s, SIZE[0] // s, 3 * KEYPOINTS)
        out.add("keypoints", rng.normal(0, 1, shape), s, scale=0.03 + 0.01 * i, zero_point=4 * i)
    return out


def oracle(real):
    """Every cell's keypoints (K, 3), in the order of oracle_v8's rows."""
    skeletons = []
    for s in STRIDES:
        for y, x in cells(s):
            t = real["keypoints", s][0, y, x].reshape(KEYPOINTS, 3)
            skeletons.append([((2 * tx + x) * s, (2 * ty + y) * s, float(sigmoid(tv))) for tx, ty, tv in t])
    return np.array(skeletons)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), confidence=st.floats(0.4, 0.95))
def test_each_box_has_the_keypoints_of_its_own_cell(dtype, seed, confidence):
    out = outputs(dtype, seed)
    tensors, arrays = out.shuffled(seed)
    head = Head(out.card("pose", LABELS, "pose", decode=DECODE), tensors, confidence)
    found, keypoints = head.poses(arrays)
    rows = oracle_v8(out.real)
    same(found, chosen(rows, confidence))
    assert keypoints.shape == (len(found), KEYPOINTS, 3)
    assert keypoints.dtype == np.float32
    boxes, skeletons = np.array([row[0][2] for row in rows]), oracle(out.real)
    for box, skeleton in zip(found.xyxy, keypoints, strict=True):
        row = np.abs(boxes - box).max(axis=1).argmin()
        np.testing.assert_allclose(skeleton, skeletons[row], atol=2e-3)
    np.testing.assert_array_equal(head.decode(arrays).xyxy, found.xyxy)


def test_a_pose_card_without_its_keypoints_is_refused():
    out = outputs("int8", 0)
    with pytest.raises(ModelError) as error:
        Head(out.card("pose", LABELS, "pose", decode={"reg_max": 16}), out.tensors, 0.5)
    assert str(error.value) == "model card: head 'pose' needs decode.keypoints, how many there are, and box 'dfl'"
    with pytest.raises(ModelError) as error:
        Head(out.card("pose", LABELS, "pose", decode=DECODE | {"keypoints": 17}), out.tensors, 0.5)
    assert str(error.value) == (
        "model output 'keypoints8' (keypoints) is [1, 8, 12, 12]; stride 8 on 96x64 px and 5 labels want [1, 8, 12, 51]"
    )
