"""A Focus and the convolution after it become one convolution that answers the same."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.sources import focus, onnxgraph

SIZE = (24, 16)
YOLOX = ((0, 0), (1, 0), (0, 1), (1, 1))  # row, column that each patch begins at
OTHER = ((1, 1), (0, 0), (1, 0), (0, 1))
TWICE = ((0, 0), (1, 1), (1, 1), (0, 0))  # no Focus that anybody made, but the same sums


def model(starts=YOLOX, *, step=2, stride=1, group=1, seen=False, kernel=3):
    rng = np.random.default_rng(3)
    weights, nodes, patches = {}, [], []

    def sliced(source, start, axis):
        name = f"{source}_{start}{axis}_{len(nodes)}"
        for key, value in (("from", start), ("to", 2**31 - 1), ("axis", axis), ("step", step)):
            weights[f"{name}_{key}"] = np.array([value], np.int64)
        nodes.append(
            helper.make_node("Slice", [source, *(f"{name}_{k}" for k in ("from", "to", "axis", "step"))], [name])
        )
        return name

    for row, column in starts:
        patches.append(sliced(sliced("image", row, 2), column, 3))
    nodes.append(helper.make_node("Concat", patches, ["dealt"], axis=1))
    weights["w"] = rng.normal(0, 1, (4, 12 // group, kernel, kernel)).astype(np.float32)
    weights["b"] = rng.normal(0, 1, 4).astype(np.float32)
    nodes.append(
        helper.make_node(
            "Conv",
            ["dealt", "w", "b"],
            ["out"],
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            group=group,
            pads=[kernel // 2] * 4,
        )
    )
    outputs = ["out", "dealt"] if seen else ["out"]
    graph = helper.make_graph(
        nodes, "focus", [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 16, 24))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(given):
    picture = np.random.default_rng(9).normal(0, 1, (1, 3, 16, 24)).astype(np.float32)
    return onnxgraph.session(given).run(["out"], {"image": picture})[0]


@pytest.mark.parametrize("starts", [YOLOX, OTHER, TWICE])
@pytest.mark.parametrize(("stride", "kernel"), [(1, 3), (2, 3), (1, 1), (1, 5)])
def test_one_convolution_answers_what_focus_and_convolution_did(starts, stride, kernel):
    before = model(starts, stride=stride, kernel=kernel)
    after = focus.folded(before, "image", SIZE)
    assert [n.op_type for n in after.graph.node] == ["Conv"]
    assert {w.name for w in after.graph.initializer} == {"w_on_pixels", "b"}
    np.testing.assert_allclose(answer(after), answer(before), atol=1e-4)


@pytest.mark.parametrize(
    "other",
    [
        {"step": 4},
        {"group": 2},
        {"seen": True},
    ],
    ids=str,
)
def test_what_is_no_focus_stays_as_it_is(other):
    before = model(**other)
    assert focus.folded(before, "image", SIZE) is before
