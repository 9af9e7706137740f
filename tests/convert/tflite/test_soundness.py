"""Crafted flatbuffers cost nothing and end in one line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert import ConvertError
from convert.tflite import graph
from tests.convert import tiny

BYTES = tiny.flatbuffer()


def altered(change):
    model = graph.unpack(BYTES)
    change(model, model.subgraphs[0])
    return graph.pack(model)


def beyond(model, subgraph):
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 10**9, 10


def many_named(model, subgraph):
    subgraph.operators[0].inputs = [0, 9999, 2]


CRAFTED = {
    "tensor that is not there": (many_named, "operator 0 names a tensor"),
    "negative tensor": (lambda m, s: s.operators[0].__setattr__("outputs", [-3]), "operator 0 names a tensor"),
    "negative shape": (lambda m, s: s.tensors[0].__setattr__("shape", [1, -7, 9, 3]), "has the shape"),
    "huge shape": (lambda m, s: s.tensors[0].__setattr__("shape", [2**31 - 1] * 4), "absurd shape"),
    "many axes": (lambda m, s: s.tensors[0].__setattr__("shape", [1] * 5000), "absurd shape"),
    "weights that are not there": (
        lambda m, s: s.tensors[2].__setattr__("shape", [8, 3, 3, 300]), "bytes where its shape",
    ),
    "buffer that is not there": (lambda m, s: s.tensors[0].__setattr__("buffer", 77), "lies in buffer 77"),
    "kind that is not there": (lambda m, s: s.operators[0].__setattr__("opcodeIndex", 50), "is of kind 50"),
    "output that is not there": (lambda m, s: s.__setattr__("outputs", [123]), "not among its"),
    "no operators": (lambda m, s: s.__setattr__("operators", []), "no operators"),
    "two subgraphs": (lambda m, s: m.subgraphs.append(s), "2 subgraphs"),
    "end beyond the file": (beyond, "ends at byte"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), CRAFTED.values(), ids=CRAFTED)
def test_a_file_that_contradicts_itself_is_refused_in_one_line(change, message):
    with pytest.raises(ConvertError, match=message) as caught:
        graph.read(altered(change))
    assert "\n" not in str(caught.value)


def test_tables_that_share_one_place_are_refused_before_they_are_unpacked():
    """A vector of tensors whose length says far more than the file has room for."""
    data = np.frombuffer(BYTES, np.uint8).copy()
    words = data.view(np.uint32)
    tensors = len(graph.read(BYTES).tensors)
    places = np.flatnonzero(words[: len(words)] == tensors)
    refused = 0
    for place in places:
        bad = data.copy()
        bad.view(np.uint32)[place] = 1 << 28
        with pytest.raises(ConvertError) as caught:
            graph.describe(graph.read(bad.tobytes()))
        refused += "exhaust" in str(caught.value)
    assert refused >= 1


def test_an_unknown_operator_is_named_by_its_number():
    def change(model, subgraph):
        model.operatorCodes[0].builtinCode, model.operatorCodes[0].deprecatedBuiltinCode = 29999, 127

    assert graph.read(altered(change)).operators[0].name == "operator 29999"


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6, 0.9, 0.99])
def test_every_truncation_is_refused_or_sound(share):
    with pytest.raises(ConvertError):
        graph.read(BYTES[: int(len(BYTES) * share)])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(2, len(BYTES) // 4 - 1),
            st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0, 1000, 65536]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_no_damage_leads_to_anything_but_a_graph_or_one_line(damage):
    words = np.frombuffer(BYTES, np.uint32, len(BYTES) // 4).copy()
    for place, value in damage:
        words[place] = value
    said = outcome(words.tobytes() + BYTES[len(words) * 4 :])
    assert "\n" not in said


def outcome(data):
    """The one line of a refusal; "" for a graph."""
    try:
        graph.describe(graph.read(data))
    except ConvertError as error:
        return str(error)
    return ""
