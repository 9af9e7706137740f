"""What is read out of a .tflite."""

import numpy as np
import pytest

from convert import ConvertError
from convert.tflite import finalise, graph
from tests.convert import tiny


def test_a_graph_is_read_as_it_was_built():
    g = graph.read(tiny.flatbuffer())
    assert g.inputs == {"serving_default_image:0": 0}
    assert [g.tensors[i].shape for i in g.outputs.values()] == [(1, 72, 4), (1, 72, 4)]
    assert [o.name for o in g.operators] == ["CONV_2D", "DEPTHWISE_CONV_2D", *["CONV_2D"] * 3, *["RESHAPE"] * 2]
    assert g.tensors[g.operators[0].inputs[1]].constant
    assert g.tensors[g.operators[0].inputs[1]].shape == (8, 3, 3, 3)


def test_activations_are_the_float_tensors_that_are_not_constants():
    names = graph.read(tiny.flatbuffer()).activations()
    assert names == [
        "serving_default_image:0",
        "conv1",
        "conv2",
        "conv3",
        "box/conv",
        "logit/conv",
        "Identity",
        "Identity_1",
    ]


def test_signature_names_count_more_than_tensor_names():
    named = finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)
    assert list(graph.read(named).outputs) == ["box", "logit"]


def test_what_is_packed_reads_the_same_and_packs_to_the_same_bytes():
    once = graph.pack(graph.unpack(tiny.flatbuffer()))
    assert graph.read(once) == graph.read(tiny.flatbuffer())
    assert graph.pack(graph.unpack(once)) == once


def test_a_float_model_is_float_everywhere():
    g = graph.read(tiny.flatbuffer())
    assert len(graph.float_operators(g)) == len(g.operators)
    assert "float     7 of 7 operators" in graph.describe(g)


def test_an_int8_detector_of_another_maker_has_one_float_island(data_dir):
    """Its post-processing dequantises and decodes in float; the net before it does not."""
    g = graph.read((data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite").read_bytes())
    assert [o.name for o in graph.float_operators(g)] == ["TFLite_Detection_PostProcess"]
    assert g.tensors[g.inputs["normalized_input_image_tensor"]].dtype == "uint8"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a TFLite file"),
        (b"PK\x03\x04" + bytes(100), "not a TFLite file"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(16), "broken or cut short"),
    ],
    ids=["empty", "zip", "offsets beyond the end"],
)
def test_other_bytes_are_refused_in_one_line(data, message):
    with pytest.raises(ConvertError, match=message) as caught:
        graph.read(data)
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_refused():
    with pytest.raises(ConvertError, match="broken or cut short"):
        graph.read(tiny.flatbuffer()[:600])


def test_scales_are_one_a_channel_for_weights_and_one_a_tensor_for_activations():
    from convert.int8 import quantize

    model = finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)
    ranges = dict.fromkeys(graph.read(model).activations(), (-4.0, 4.0))
    g = graph.read(quantize.static_int8(model, ranges))
    weights = g.tensors[next(o for o in g.operators if o.name == "CONV_2D").inputs[1]]
    assert len(weights.scales) == 8
    np.testing.assert_allclose(g.tensors[g.inputs["image"]].scales, [8 / 255], rtol=1e-6)
