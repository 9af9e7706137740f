"""YOLOX's boxes against decoding every cell in a loop, and a real model's own grids."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect.heads import LIMIT
from agent.detect.heads.yolox import Head
from agent.modelfile import Input, ModelError
from tests.detect.heads.stored import SIZE, STRIDES, Outputs, cells, chosen, same, sigmoid

LABELS = 4


def outputs(dtype, seed):
    rng, out = np.random.default_rng(seed), Outputs(dtype)
    for i, s in enumerate(STRIDES):
        shape = (1, SIZE[1] // s, SIZE[0] // s)
        out.add("box", rng.normal(0, 1, (*shape, 4)), s, scale=0.03 + 0.01 * i, zero_point=3 * i)
        out.add("objectness", rng.normal(0, 3, (*shape, 1)), s, scale=0.09, zero_point=20 - i)
        out.add("logit", rng.normal(0, 3, (*shape, LABELS)), s, scale=0.08, zero_point=-7 * i)
    return out


def oracle(real):
    rows = []
    for s in STRIDES:
        for y, x in cells(s):
            tx, ty, tw, th = real["box", s][0, y, x]
            cx, cy, w, h = (tx + x) * s, (ty + y) * s, np.exp(tw) * s, np.exp(th) * s
            box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
            is_object = sigmoid(real["objectness", s][0, y, x, 0])
            rows.append([(is_object * c, label, box) for label, c in enumerate(sigmoid(real["logit", s][0, y, x]))])
    return rows


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), confidence=st.floats(0.1, 0.95))
def test_boxes_are_those_of_every_cell_in_a_loop(dtype, multi_label, seed, confidence):
    out = outputs(dtype, seed)
    found = out.decoded(Head, out.card("yolox", LABELS), seed, confidence, multi_label)
    same(found, chosen(oracle(out.real), confidence, multi_label))


def test_an_object_of_no_label_and_a_label_of_no_object_are_not_reported():
    out = Outputs("int8")
    for s in STRIDES:
        shape = (1, SIZE[1] // s, SIZE[0] // s)
        objectness, logits = np.full((*shape, 1), -5.0), np.full((*shape, LABELS), -5.0)
        if s == 8:
            objectness[0, 1, 1], logits[0, 2, 2] = 5.0, 5.0
        for role, values in (("box", np.zeros((*shape, 4))), ("objectness", objectness), ("logit", logits)):
            out.add(role, values, s)
    assert len(Head(out.card("yolox", LABELS), out.tensors, 0.3).decode(out.arrays)) == 0


def test_a_size_beyond_all_pictures_stays_a_number():
    out = outputs("float32", 0)
    for tensor, array in zip(out.tensors, out.arrays, strict=True):
        array[...] = 1e30 if tensor.name.startswith("box") else 5.0
    found = Head(out.card("yolox", LABELS), out.tensors, 0.3).decode(out.arrays)
    assert np.all(np.isfinite(found.xyxy))
    assert len(found) == len([c for s in STRIDES for c in cells(s)]) < LIMIT


def test_a_card_that_is_not_the_outputs_is_refused_at_construction():
    out = outputs("int8", 0)
    with pytest.raises(ModelError) as error:
        Head(out.card("yolox", 9), out.tensors, 0.5)
    assert str(error.value) == (
        "model output 'logit8' (logit) is [1, 8, 12, 4]; stride 8 on 96x64 px and 9 labels want [1, 8, 12, 9]"
    )
    with pytest.raises(ModelError) as error:
        Head(out.card("yolox", LABELS, decode={"reg_max": 16}), out.tensors, 0.5)
    assert str(error.value) == "model card: head 'yolox' has no decode keys; there are: reg_max"


@pytest.fixture(scope="module")
def nano(data_dir):
    """YOLOX-nano: the nine head tensors before its sigmoids, and its own raw grid output (3549, 85), of one picture."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model = onnx.load(str(data_dir / "models" / "yolox_nano.onnx"))
    parts = ("reg_preds", "obj_preds", "cls_preds")
    made_by = {part: [n.output[0] for n in model.graph.node if any(part in i for i in n.input)] for part in parts}
    names = [name for part in parts for name in made_by[part]]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    image = cv2.imread(str(data_dir / "coco" / "evaluate" / "images" / "000000000139.jpg"))
    fed = np.full((416, 416, 3), 114, np.uint8)
    fed[:277, :416] = cv2.resize(image, (416, 277))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    own, *cut = session.run(["output", *names], {"images": fed.transpose(2, 0, 1)[None].astype(np.float32)})
    return own[0], dict(zip(names, cut, strict=True)), made_by


def test_a_real_model_cut_is_decoded_as_its_own_grids(nano):
    own, cut, made_by = nano
    out = Outputs("float32")
    for role, part in (("box", "reg_preds"), ("objectness", "obj_preds"), ("logit", "cls_preds")):
        for s, name in zip(STRIDES, made_by[part], strict=True):
            out.add(role, np.ascontiguousarray(cut[name].transpose(0, 2, 3, 1)), s)
    card = out.card("yolox", 80)
    card = type(card)(card.task, card.head, card.labels, Input((416, 416)), card.outputs)
    rows, at = [], 0
    for s in STRIDES:
        for y, x in cells(s, (416, 416)):
            (tx, ty, tw, th, is_object), scores = own[at, :5].astype(float), own[at, 5:].astype(float)
            cx, cy, w, h = (tx + x) * s, (ty + y) * s, np.exp(tw) * s, np.exp(th) * s
            box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
            rows.append([(is_object * c, label, box) for label, c in enumerate(scores)])
            at += 1
    wanted = chosen(rows, 0.1)
    assert len(wanted) > 50
    same(Head(card, out.tensors, 0.1).decode(out.arrays), wanted)
