"""What onnx2tf leaves is told apart by its answers, and taken with channels last however it turned them."""

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import helper, numpy_helper

from convert import ConvertError
from convert.sources import onnx2tflite
from convert.tflite import graph
from tests.convert.tiny import Builder

CHANNELS = {"first": 3, "second": 5}


def weights():
    rng = np.random.default_rng(0)
    return {name: rng.normal(0, 1, (count, 3, 1, 1)).astype(np.float32) for name, count in CHANNELS.items()}


def source(path, bias=0.0):
    """Two convolutions of a square picture, as an ONNX file."""
    nodes, constants = [], []
    for name, w in weights().items():
        nodes.append(helper.make_node("Conv", ["image", f"{name}/w", f"{name}/b"], [name]))
        constants.append(numpy_helper.from_array(w, f"{name}/w"))
        constants.append(numpy_helper.from_array(np.full(len(w), bias, np.float32), f"{name}/b"))
    image = helper.make_tensor_value_info("image", 1, [1, 3, 5, 5])
    outputs = [helper.make_tensor_value_info(name, 1, [1, count, 5, 5]) for name, count in CHANNELS.items()]
    made = helper.make_graph(nodes, "g", [image], outputs, constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def turned(turns):
    """The same as TFLite, each output turned by a permutation, or not at all by none."""
    build = Builder()
    image = build.tensor("image", (1, 5, 5, 3))
    outputs = []
    for name, w in weights().items():
        shape = (1, 5, 5, len(w))
        x = build.conv(image, f"{name}/conv", shape, w.transpose(0, 2, 3, 1), np.zeros(len(w), np.float32), relu6=False)
        if turns[name]:
            out = build.tensor(name, [shape[i] for i in turns[name]])
            permutation = build.tensor(f"{name}/turn", (4,), np.array(turns[name], np.int32))
            build.operator("TRANSPOSE", [x, permutation], [out], schema.TransposeOptionsT())
            x = out
        outputs.append(x)
    build.graph.inputs, build.graph.outputs = [image], outputs[::-1]
    return graph.pack(build.model)


@pytest.mark.parametrize("first", [None, (0, 3, 1, 2), (0, 1, 3, 2)], ids=["last", "first", "between"])
@pytest.mark.parametrize("second", [None, (0, 3, 1, 2), (0, 1, 3, 2)], ids=["last", "first", "between"])
def test_outputs_come_out_with_channels_last_however_they_were_turned(tmp_path, first, second):
    model = turned({"first": first, "second": second})
    (tmp_path / "both.tflite").write_bytes(onnx2tflite.with_unturned(model))
    pairs, error = onnx2tflite.match(source(tmp_path / "cut.onnx"), tmp_path / "both.tflite")
    assert error < 1e-5
    made = onnx2tflite.only(model, pairs.values())
    runner = Interpreter(model_content=made)
    runner.allocate_tensors()
    shapes = {d["name"]: tuple(d["shape"]) for d in runner.get_output_details()}
    assert [shapes[pairs[name]] for name in CHANNELS] == [(1, 5, 5, 3), (1, 5, 5, 5)]
    assert "TRANSPOSE" not in {o.name for o in graph.read(made).operators}


def test_another_answer_is_no_match(tmp_path):
    (tmp_path / "both.tflite").write_bytes(turned(dict.fromkeys(CHANNELS)))
    with pytest.raises(ConvertError, match=r"onnx2tf changed the model: output first is .* of its spread off"):
        onnx2tflite.match(source(tmp_path / "cut.onnx", bias=0.1), tmp_path / "both.tflite")
