"""Heads found by what their tails answer, on graphs that decode as each family does; grids are not square."""

import msgspec
import numpy as np
import onnx
import pytest

from convert import ConvertError
from convert.sources import onnxcut, onnxgraph
from tests.convert.sources import graphs


def cut(tmp_path, built, size=None, **more):
    """(plan, cut model) of a graph."""
    file = graphs.saved(tmp_path / "whole_given.onnx", built, **more)
    (tmp_path / "job.json").write_bytes(msgspec.json.encode({"file": str(file), "size": size, "outputs": []}))
    onnxcut.main(tmp_path)
    return msgspec.json.decode((tmp_path / "plan.json").read_bytes()), onnx.load(str(tmp_path / "cut.onnx"))


def roles(plan):
    return [(role, stride) for _, role, stride in plan["outputs"]]


def test_distances_are_found_by_what_they_decode_to(tmp_path):
    plan, model = cut(tmp_path, graphs.v8(), metadata={"names": "{0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e'}"})
    assert (plan["head"], plan["task"], plan["classes"]) == ("yolo", "detect", 5)
    assert plan["decode"] == {"box": "dfl", "reg_max": graphs.BINS}
    assert roles(plan) == [("box", 8), ("logit", 8), ("box", 16), ("logit", 16)]
    assert plan["names"] == ["a", "b", "c", "d", "e"]
    assert plan["size"] == [96, 64]
    assert {n.op_type for n in model.graph.node} == {"Conv", "Relu"}
    assert [o.name for o in model.graph.output] == [t for t, _, _ in plan["outputs"]]


@pytest.mark.parametrize("box_first", [True, False])
def test_box_and_class_of_as_many_channels_are_told_apart(tmp_path, box_first):
    plan, model = cut(tmp_path, graphs.v8(classes=4 * graphs.BINS, box_first=box_first))
    found = {role: tensor for tensor, role, stride in plan["outputs"] if stride == 8}
    order = [n.output[0] for n in model.graph.node if n.output[0] in found.values()]
    assert order == ([found["box"], found["logit"]] if box_first else [found["logit"], found["box"]])


def test_masks_have_coefficients_and_prototypes_with_channels_last(tmp_path):
    plan, model = cut(tmp_path, graphs.v8(6))
    assert (plan["head"], plan["task"]) == ("yolo_segment", "segment")
    assert roles(plan)[-1] == ("prototypes", 8)
    assert ("coefficients", 16) in roles(plan)
    assert [d.dim_value for d in model.graph.output[-1].type.tensor_type.shape.dim] == [1, 8, 12, 6]


def test_keypoints_make_a_pose(tmp_path):
    plan, _ = cut(tmp_path, graphs.v8(keypoints=3))
    assert (plan["head"], plan["task"], plan["decode"]["keypoints"]) == ("pose", "pose", 3)
    assert ("keypoints", 8) in roles(plan)


def test_anchors_are_read_out_of_the_graph(tmp_path):
    plan, _ = cut(tmp_path, graphs.v5())
    assert (plan["head"], plan["classes"], roles(plan)) == ("yolo", 5, [("grid", 8), ("grid", 16)])
    np.testing.assert_allclose(plan["decode"]["anchors"], [graphs.ANCHORS[8], graphs.ANCHORS[16]], rtol=1e-3)


def test_yolox_is_found_undecoded(tmp_path):
    plan, _ = cut(tmp_path, graphs.yolox())
    assert (plan["head"], plan["classes"], plan["decode"]) == ("yolox", 5, {})
    assert sorted(roles(plan)) == sorted((r, s) for s in (8, 16) for r in ("box", "objectness", "logit"))


def test_an_open_size_is_filled_in(tmp_path):
    plan, model = cut(tmp_path, graphs.yolox(), size=(96, 64), shape=("batch", 3, "height", "width"))
    assert plan["size"] == [96, 64]
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 64, 96]


def test_a_decoding_that_differs_in_one_number_is_not_taken_for_known(tmp_path):
    built = graphs.v8()
    builder, outputs = built
    doubled = builder.op("Mul", outputs[0], builder.constant(np.float32(1.01)))
    with pytest.raises(ConvertError, match="ends in no head that is known here"):
        onnxcut.find(onnxgraph.load(graphs.saved(tmp_path / "m.onnx", (builder, [doubled])), None))


def test_the_real_yolox_is_cut_before_its_sigmoids(data_dir, tmp_path):
    graph = onnxgraph.load(data_dir / "models" / "yolox_nano.onnx", None)
    found, outputs = onnxcut.find(graph)
    assert (found.head, found.classes, graph.size) == ("yolox", 80, (416, 416))
    assert [(r, s) for _, r, s in outputs if s == 16] == [("box", 16), ("objectness", 16), ("logit", 16)]
