"""Where the Edge TPU would stop, on small graphs with one fault each, and on files whose compiled logs are public."""

import math
import re
import stat
from pathlib import Path

import numpy as np
import pytest

from convert import ConvertError
from convert.tflite import edgetpu, graph
from convert.tflite.graph import Graph, Operator, TensorInfo

LOG = """Edge TPU Compiler version 16.0.384591198
Number of operations that will run on Edge TPU: 13
Number of operations that will run on CPU: 2

Operator                       Count      Status

DEQUANTIZE                     1          Operation is working on an unsupported data type
CONV_2D                        11         Mapped to Edge TPU
CONV_2D                        1          More than one subgraph is not supported
MAX_POOL_2D                    2          Mapped to Edge TPU
"""


def tensor(shape, dtype="int8", *, values=None, constant=False, dynamic=False):
    return TensorInfo("t", tuple(shape), dtype, (0.1,), (0,), constant or values is not None, dynamic, values)


def one(name, *inputs, out=(1, 8, 8, 4), version=1, dtype="int8", **options):
    """A graph of one operator."""
    tensors = (*inputs, tensor(out, dtype))
    operator = Operator(name, version, tuple(range(len(inputs))), (len(inputs),), options)
    return Graph(tensors, (operator,), {"image": 0}, {"out": len(inputs)})


PICTURE = tensor((1, 8, 8, 4))
WEIGHTS = tensor((4, 3, 3, 4), constant=True)
BIAS = tensor((4,), "int32", constant=True)
FAULTS = {
    "unknown": (one("GATHER", PICTURE), "not an operator"),
    "float": (one("CONV_2D", tensor((1, 8, 8, 4), "float32"), WEIGHTS, BIAS, dtype="float32"), "float32"),
    "16 bits": (one("ADD", tensor((1, 8, 8, 4), "int16"), PICTURE), "int16"),
    "float weights": (one("CONV_2D", PICTURE, tensor((4, 3, 3, 4), "float32", constant=True), BIAS), "float32"),
    "dequantize": (one("DEQUANTIZE", PICTURE, dtype="float32"), "not an operator"),
    "dynamic": (one("RELU", tensor((1, 8, 8, 4), dynamic=True)), "may change"),
    "batch": (one("RELU", tensor((2, 8, 8, 4)), out=(2, 8, 8, 4)), "innermost"),
    "version": (one("RESIZE_NEAREST_NEIGHBOR", PICTURE, version=3), "version 3"),
    "stride": (
        one("STRIDED_SLICE", PICTURE, *[tensor((4,), "int32", values=v) for v in ((0,) * 4, (0,) * 4, (1, 2, 2, 1))]),
        r"strides \[1, 2, 2, 1\]",
    ),
    "dilation": (one("CONV_2D", PICTURE, WEIGHTS, BIAS, dilationWFactor=2, dilationHFactor=1), "dilation 2"),
    "moving weights": (one("CONV_2D", PICTURE, tensor((1, 3, 3, 4)), BIAS), "not constant"),
    "fused": (one("MAX_POOL_2D", PICTURE, fusedActivationFunction=1), "fused"),
    "constant joined": (one("CONCATENATION", PICTURE, tensor((1, 8, 8, 4), constant=True)), "joins a constant"),
    "softmax": (one("SOFTMAX", tensor((1, 4, 2100, 16)), out=(1, 4, 2100, 16)), "one axis"),
    "long softmax": (one("SOFTMAX", tensor((1, 16001)), out=(1, 16001)), "16,000"),
    "mean": (one("MEAN", tensor((1, 8, 8, 6)), tensor((1,), "int32", values=(-1,)), out=(1, 8, 8)), "multiple of 4"),
    "batch mean": (one("MEAN", PICTURE, tensor((1,), "int32", values=(0,)), out=(8, 8, 4)), "batch"),
    "padded batch": (one("PAD", PICTURE, tensor((4, 2), "int32", values=(0, 1, 0, 0, 0, 0, 0, 0))), "batch"),
    "squeeze": (one("SQUEEZE", tensor((1, 5, 1, 10)), out=(1, 5, 10)), "leading"),
    "prelu": (one("PRELU", PICTURE, tensor((8, 8, 4), constant=True)), "place to place"),
    "dense": (one("FULLY_CONNECTED", tensor((5, 4)), tensor((3, 4), constant=True), out=(5, 3)), "more than one axis"),
}
FINE = {
    "conv": one("CONV_2D", PICTURE, WEIGHTS, BIAS, version=3, dilationWFactor=2, dilationHFactor=2),
    "spatial mean": one("MEAN", tensor((1, 8, 8, 6)), tensor((2,), "int32", values=(1, 2)), out=(1, 6)),
    "slice": one("STRIDED_SLICE", PICTURE, *[tensor((4,), "int32", values=v) for v in ((0,) * 4, (0,) * 4, (1,) * 4)]),
    "softmax": one("SOFTMAX", tensor((1, 1000)), out=(1, 1000)),
    "squeeze": one("SQUEEZE", tensor((1, 1, 5, 10)), out=(5, 10)),
    "pad": one("PAD", PICTURE, tensor((4, 2), "int32", values=(0, 0, 1, 1, 1, 1, 0, 0))),
}


@pytest.mark.parametrize(("given", "reason"), FAULTS.values(), ids=FAULTS)
def test_each_broken_limit_is_found_with_its_cure(given, reason):
    placed = edgetpu.placement(given)
    (finding,) = placed.findings

    assert re.search(reason, finding.reason)
    assert finding.cure
    assert placed.mapped == (False,)


@pytest.mark.parametrize("given", FINE.values(), ids=FINE)
def test_an_operator_within_its_limits_maps(given):
    placed = edgetpu.placement(given)
    assert (placed.findings, placed.mapped) == ((), (True,))


def test_a_resize_may_be_refused_but_does_not_end_the_partition():
    placed = edgetpu.placement(one("RESIZE_BILINEAR", PICTURE, out=(1, 16, 16, 4)))
    assert not placed.findings[0].certain
    assert placed.mapped == (True,)


def chain(*names):
    """Operators one after the other, and one beside them from the input."""
    tensors = [PICTURE] * (len(names) + 2)
    operators = [Operator(name, 1, (i,), (i + 1,)) for i, name in enumerate(names)]
    operators.append(Operator("RELU", 1, (0,), (len(names) + 1,)))
    return Graph(tuple(tensors), tuple(operators), {"image": 0}, {"out": len(names)})


def test_what_is_computed_from_a_cpu_operator_stays_there_and_its_neighbours_do_not():
    placed = edgetpu.placement(chain("RELU", "GATHER", "RELU", "TANH"))
    assert placed.mapped == (True, False, False, False, True)
    assert [f.operator for f in placed.findings] == [1]


def test_the_quantize_of_a_float_input_stops_nothing():
    tensors = (tensor((1, 8, 8, 4), "float32"), PICTURE, PICTURE)
    steps = (Operator("QUANTIZE", 1, (0,), (1,)), Operator("RELU", 1, (1,), (2,)))
    placed = edgetpu.placement(Graph(tensors, steps, {"image": 0}, {"out": 2}))
    assert placed.mapped == (False, True)


def test_multiply_adds_are_those_of_naive_loops():
    out, weights = (1, 4, 5, 6), (6, 3, 3, 7)
    given = one("CONV_2D", tensor((1, 4, 5, 7)), tensor(weights, constant=True), out=out)
    loops = sum(1 for _ in np.ndindex(*out) for _ in np.ndindex(3, 3, 7))
    assert edgetpu.multiply_adds(given, given.operators[0]) == loops
    deep = one("DEPTHWISE_CONV_2D", tensor((1, 4, 5, 6)), tensor((1, 3, 3, 6), constant=True), out=out)
    assert edgetpu.multiply_adds(deep, deep.operators[0]) == math.prod(out) * 9


@pytest.mark.parametrize(
    ("name", "on", "stays"),
    [
        ("mobilenet_v1_0.25_128_quant.tflite", 31, []),
        ("ssd_mobilenet_v1_coco_uint8.tflite", 63, ["TFLite_Detection_PostProcess"]),
        ("deeplabv3_mnv2_dm05_pascal_quant.tflite", 71, ["ARG_MAX"]),
    ],
)
def test_public_quantised_models_map_but_for_their_known_cpu_ops(data_dir, name, on, stays):
    placed = edgetpu.placement(graph.read((data_dir / "models" / name).read_bytes()))
    assert sum(placed.mapped) == on
    assert [f.kind for f in placed.findings if f.certain] == stays
    assert "checked, not compiled" in placed.summary()


def test_the_shipped_model_maps_as_a_whole():
    path = Path(__file__).parents[3] / "models" / "ssdlite_mobilenet_v2_coco_int8.tflite"
    assert edgetpu.check(path.read_bytes()) == []


def test_a_log_becomes_counts():
    found = edgetpu.counts(LOG)
    assert (found.version, found.mapped, found.on_cpu) == ("16.0.384591198", 13, 2)
    assert found.rows[0] == ("DEQUANTIZE", 1, "Operation is working on an unsupported data type")


def test_a_log_without_a_table_is_told_in_one_line():
    with pytest.raises(ConvertError, match="no table"):
        edgetpu.counts("Internal compiler error. Aborting!\n")


def compiler(folder, monkeypatch, script):
    tool = folder / "edgetpu_compiler"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    model = folder / "m.tflite"
    model.write_bytes(b"x")
    return model


def test_a_compiler_on_the_path_is_asked(tmp_path, monkeypatch):
    (tmp_path / "said").write_text(LOG)
    model = compiler(tmp_path, monkeypatch, f"cat {tmp_path}/said; test -f model.tflite")
    found = edgetpu.compile(model)
    assert found is not None
    assert found.mapped == 13


@pytest.mark.parametrize(
    ("script", "seconds"), [("echo broken; exit 1", 20.0), ("sleep 60", 0.5)], ids=["fails", "hangs"]
)
def test_a_compiler_that_fails_or_hangs_is_one_line(tmp_path, monkeypatch, script, seconds):
    with pytest.raises(ConvertError) as caught:
        edgetpu.compile(compiler(tmp_path, monkeypatch, script), seconds)
    assert "\n" not in str(caught.value)


def test_without_a_compiler_there_is_the_line_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert edgetpu.compile(tmp_path / "m.tflite") is None
    assert edgetpu.line(Path("/a b/m.tflite")) == "edgetpu_compiler -s -o '/a b' '/a b/m.tflite'"
