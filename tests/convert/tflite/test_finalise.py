"""What is mended, and that mending changes no answer."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from convert import ConvertError
from convert.int8 import quantize
from convert.tflite import finalise, graph
from tests.convert import tiny


def quantised():
    model = finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)
    ranges = dict.fromkeys(graph.read(model).activations(), (-4.0, 4.0))
    return quantize.static_int8(model, ranges | {"image": (0.0, 255.0)})


def changed(flatbuffer, change):
    model = graph.unpack(flatbuffer)
    change(model)
    return graph.pack(model)


def with_buffers_outside(flatbuffer):
    """The same model with its largest constant behind the flatbuffer, as some tools write it."""
    model = graph.unpack(flatbuffer)
    buffer = max((b for b in model.buffers if b.data is not None), key=lambda b: len(b.data))
    data = bytes(buffer.data)
    buffer.data, buffer.offset, buffer.size = None, 1 << 40, len(data)
    start = -(-len(graph.pack(model)) // 64) * 64  # offsets have a fixed width, so this stays true
    buffer.offset = start
    return graph.pack(model).ljust(start, b"\0") + data


def test_names_and_order_are_the_contracts():
    model = finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, {"Identity_1": "logit", "Identity": "box"})
    read, raw = graph.read(model), graph.unpack(model)
    assert list(read.inputs) == ["image"]
    assert list(read.outputs) == ["logit", "box"]
    assert [read.tensors[i].name for i in raw.subgraphs[0].outputs] == ["logit", "box"]


def test_buffers_outside_the_flatbuffer_come_inside():
    outside = with_buffers_outside(tiny.flatbuffer())
    mended = finalise.tidy(outside, tiny.INPUTS, tiny.OUTPUTS)
    assert all((b.offset or 0) <= 1 for b in graph.unpack(mended).buffers)
    finalise.check(tiny.flatbuffer(), mended, tiny.OUTPUTS)
    finalise.check(tiny.flatbuffer(), mended + b"PK-something-appended", tiny.OUTPUTS)


def test_marks_of_dynamic_shapes_that_are_none_go():
    def mark(model):
        for tensor in model.subgraphs[0].tensors:
            tensor.shapeSignature = [-1, *tensor.shape[1:]]

    mended = finalise.tidy(changed(tiny.flatbuffer(), mark), tiny.INPUTS, tiny.OUTPUTS)
    assert all(t.shapeSignature is None for t in graph.unpack(mended).subgraphs[0].tensors)


def test_int8_operators_get_the_versions_that_define_int8():
    before, after = quantised(), finalise.tidy(quantised(), {"image": "image"}, tiny.SAME)
    assert {o.version for o in graph.read(before).operators} == {1}
    versions = {o.name: o.version for o in graph.read(after).operators}
    assert versions["CONV_2D"] == versions["DEPTHWISE_CONV_2D"] == 3
    assert versions["RESHAPE"] == 1


def test_float_operators_keep_their_versions():
    assert {o.version for o in graph.read(finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)).operators} == {1}


def test_what_nothing_refers_to_is_dropped():
    mended = finalise.tidy(tiny.flatbuffer(unused=True), tiny.INPUTS, tiny.OUTPUTS)
    assert mended == finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)
    assert "left over" not in [t.name for t in graph.read(mended).tensors]


def test_traces_of_tools_are_dropped_so_that_bytes_repeat():
    def trace(model):
        entry = schema.MetadataT()
        entry.name, entry.buffer = "built at", 0
        model.metadata, model.description = [entry], "by somebody"

    assert finalise.tidy(changed(tiny.flatbuffer(), trace), tiny.INPUTS, tiny.OUTPUTS) == finalise.tidy(
        tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS
    )


def test_tidying_twice_changes_nothing_more():
    once = finalise.tidy(quantised(), {"image": "image"}, tiny.SAME)
    assert finalise.tidy(once, {"image": "image"}, tiny.SAME) == once


def test_the_finalised_model_answers_bit_for_bit_as_before():
    before = quantised()
    finalise.check(before, finalise.tidy(before, {"image": "image"}, tiny.SAME), tiny.SAME)


def test_a_model_that_answers_otherwise_is_caught():
    def spoil(model):
        weights = max((b for b in model.buffers if b.data is not None), key=lambda b: len(b.data))
        data = np.array(weights.data)
        data[: len(data) // 2] ^= 0x40
        weights.data = data

    before = quantised()
    after = changed(finalise.tidy(before, {"image": "image"}, tiny.SAME), spoil)
    with pytest.raises(ConvertError, match="finalise changed the answers of output"):
        finalise.check(before, after, tiny.SAME)


def test_a_model_that_does_not_load_is_caught():
    def spoil(model):
        model.subgraphs[0].operators[0].inputs = [0]  # a convolution without weights

    good = quantised()
    with pytest.raises(ConvertError, match="the converted model does not run here"):
        finalise.check(good, changed(good, spoil), tiny.SAME)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"x": "image"}, tiny.OUTPUTS, "the graph has serving_default_image:0 where x is wanted"),
        (tiny.INPUTS, {"Identity": "box"}, "the graph has Identity, Identity_1 where Identity is wanted"),
        (tiny.INPUTS, {"Identity": "conv1", "Identity_1": "logit"}, "another tensor of the graph is called 'conv1'"),
    ],
)
def test_names_that_do_not_fit_are_errors(inputs, outputs, message):
    with pytest.raises(ConvertError, match=message):
        finalise.tidy(tiny.flatbuffer(), inputs, outputs)
