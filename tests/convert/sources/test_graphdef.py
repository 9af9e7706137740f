"""Cuts and rewrites of graphs, checked by computing them with numpy."""

import base64

import numpy as np
import pytest

from convert import ConvertError
from convert.sources import graphdef


def node(name, op, *inputs, **attr):
    return {"name": name, "op": op, "input": list(inputs), "attr": attr}


def text(value):
    return base64.b64encode(value.encode()).decode()


def fused(name, op, inputs, *operations):
    return node(name, op, *inputs, T={"type": 1}, strides={}, fused_ops={"list": {"s": [text(o) for o in operations]}})


def computed(nodes, given, wanted):
    """The value of a node; Conv2D here is 1 × 1, so a matrix product."""
    values = dict(given)
    operations = {
        "Conv2D": lambda x, w: x @ w,
        "DepthwiseConv2dNative": lambda x, w: x * w,
        "BiasAdd": np.add,
        "Add": np.add,
        "AddV2": np.add,
        "Identity": lambda x: x,
        "Relu": lambda x: np.maximum(x, 0),
        "Relu6": lambda x: np.clip(x, 0, 6),
    }
    for n in nodes:
        if n["name"] not in values:
            values[n["name"]] = operations[n["op"]](*(values[i] for i in n["input"]))
    return values[wanted]


def residual():
    """(conv + residual) + constant, as TensorFlow's optimiser leaves it."""
    return [
        node("image", "Placeholder"),
        node("weights", "Const"),
        node("bias", "Const"),
        node("conv", "Conv2D", "image", "weights", T={"type": 1}),
        node("inner", "AddV2", "conv", "image", T={"type": 1}),
        node("outer", "Add", "bias", "inner", T={"type": 1}),
    ]


VALUES = {
    "image": np.array([1.0, -2.0]),
    "weights": np.array([[2.0, 1.0], [0.5, -1.0]]),
    "bias": np.array([10.0, 20.0]),
}


def test_cut_keeps_what_the_outputs_need_and_nothing_before_the_input():
    nodes = [
        node("raw", "Placeholder"),
        node("scaled", "Mul", "raw", "k"),
        node("k", "Const"),
        node("w", "Const"),
        node("a", "Conv2D", "scaled", "w:0", "^k"),
        node("b", "Relu", "a"),
        node("after", "Sigmoid", "b"),
    ]
    kept = graphdef.cut(nodes, "scaled", ["b"])
    assert [n["name"] for n in kept] == ["scaled", "k", "w", "a", "b"]
    assert kept[0]["op"] == "Placeholder"


@pytest.mark.parametrize(
    ("source", "outputs", "message"),
    [
        ("nowhere", ["b"], "the graph has no node 'nowhere'"),
        ("x", ["nowhere"], "the graph has no node 'nowhere'"),
        ("x", ["b"], "the outputs need y; cut elsewhere"),
        ("x", ["c"], "the outputs need y; cut elsewhere"),
        ("y", ["k"], "the outputs need nothing of it; cut elsewhere"),
    ],
)
def test_a_cut_that_does_not_separate_is_an_error(source, outputs, message):
    nodes = [
        node("x", "Placeholder"),
        node("y", "Placeholder"),
        node("k", "Const"),
        node("c", "Relu", "y"),
        node("b", "Add", "x", "c"),
    ]
    with pytest.raises(ConvertError, match=message):
        graphdef.cut(nodes, source, outputs)


@pytest.mark.parametrize(
    ("op", "operations", "ops", "expected"),
    [
        ("_FusedConv2D", ("BiasAdd", "Relu6"), ["Conv2D", "BiasAdd", "Relu6"], [6.0, 6.0]),
        ("_FusedConv2D", ("BiasAdd",), ["Conv2D", "BiasAdd"], [11.0, 23.0]),
        ("_FusedConv2D", ("Relu",), ["Conv2D", "Relu"], [1.0, 3.0]),
        ("_FusedConv2D", (), ["Conv2D"], [1.0, 3.0]),
        ("FusedDepthwiseConv2dNative", ("BiasAdd", "Relu"), ["DepthwiseConv2dNative", "BiasAdd", "Relu"], None),
    ],
)
def test_fused_convolutions_come_apart_and_keep_their_name(op, operations, ops, expected):
    inputs = ["image", "weights", "bias"] if "BiasAdd" in operations else ["image", "weights"]
    chain = graphdef.expand([fused("conv", op, inputs, *operations)])
    assert [n["op"] for n in chain] == ops
    assert chain[-1]["name"] == "conv"
    assert len({n["name"] for n in chain}) == len(chain)
    assert "fused_ops" not in chain[0]["attr"]
    if expected is not None:
        np.testing.assert_allclose(computed(chain, VALUES, "conv"), expected)


def test_an_unknown_fusion_is_an_error():
    with pytest.raises(ConvertError, match="node conv: a convolution fused with Prelu is not supported"):
        graphdef.expand([fused("conv", "_FusedConv2D", ["a", "w", "b"], "BiasAdd", "Prelu")])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_sum_of_many_becomes_additions_of_two(count):
    names = [f"t{i}" for i in range(count)]
    chain = graphdef.expand([node("sum", "AddN", *names, "^control", T={"type": 1})])
    assert all(len(n["input"]) <= 2 for n in chain)
    values = {name: np.array(10.0**i) for i, name in enumerate(names)}
    assert computed(chain, values, "sum") == sum(values.values())


def test_a_constant_behind_a_residual_becomes_the_convolutions_bias():
    before, after = residual(), graphdef.regroup(residual(), ["outer"])
    np.testing.assert_allclose(computed(after, VALUES, "outer"), computed(before, VALUES, "outer"))
    by_name = {n["name"]: n for n in after}
    assert by_name["inner"]["input"] == ["conv", "bias"]
    assert by_name["outer"]["input"] == ["inner", "image"]


def test_a_residual_that_is_read_elsewhere_stays():
    nodes = [*residual(), node("reader", "Relu", "inner")]
    assert graphdef.regroup(nodes, ["outer"]) == nodes


@pytest.mark.parametrize("output", ["inner", "conv"])
def test_what_is_an_output_keeps_its_value(output):
    after = graphdef.regroup(residual(), ["outer", output])
    np.testing.assert_allclose(computed(after, VALUES, output), computed(residual(), VALUES, output))
    assert after == residual()


def test_additions_without_a_convolution_stay():
    nodes = [n | {"op": "Relu6"} if n["name"] == "conv" else n for n in residual()]
    assert graphdef.regroup(nodes, ["outer"]) == nodes


def test_bytes_are_written_as_protobufs_json_wants_them():
    plain = node("x", "Op", a={"s": [78, 72, 87, 67]}, b={"list": {"s": [[65], text("B")], "i": ["1"]}}, c={"i": "3"})
    attr = graphdef.to_proto_json(plain)["attr"]
    assert attr["a"]["s"] == text("NHWC")
    assert attr["b"]["list"] == {"s": [text("A"), text("B")], "i": ["1"]}
    assert attr["c"] == {"i": "3"}
