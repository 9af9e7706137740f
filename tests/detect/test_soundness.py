"""A model file is judged by our own reader before any runtime maps it: crafted ones end in one line, real ones pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent import config
from agent.detect import operators, soundness
from agent.detect.backends import tflite
from agent.detect.flatbuffer import Reader, Unsound
from agent.modelfile import ModelError
from convert.tflite import graph
from tests.convert import tiny

SHIPPED = config.shipped(config.DEFAULT_MODEL).read_bytes()
TINY = tiny.flatbuffer()
IMAGE, CONV1, WEIGHTS, BIAS = 0, 1, 2, 3  # its first tensors
INT8, INT4 = schema.TensorType.INT8, schema.TensorType.INT4
Change = Callable[[Any, Any], object]


def unpacked(data: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def altered(change: Change) -> bytes:
    model = unpacked(TINY)
    change(model, model.subgraphs[0])
    return graph.pack(model)


def put(**values: object) -> Callable[[Any], None]:
    return lambda table: [setattr(table, name, value) for name, value in values.items()] and None


def tensor(number: int, **values: object) -> Change:
    return lambda _, graph: put(**values)(graph.tensors[number])


def operator(number: int, **values: object) -> Change:
    return lambda _, graph: put(**values)(graph.operators[number])


def option(number: int, **values: object) -> Change:
    return lambda _, graph: put(**values)(graph.operators[number].builtinOptions)


def scales(number: int, scale: list[float], zero_point: list[int], axis: int = 0) -> Change:
    quantization = schema.QuantizationParametersT()
    put(scale=scale, zeroPoint=zero_point, quantizedDimension=axis)(quantization)
    return tensor(number, quantization=quantization)


def kind(code: int, custom: str | None = None) -> Change:
    return lambda model, _: put(builtinCode=code, deprecatedBuiltinCode=min(code, 127), customCode=custom)(
        model.operatorCodes[0]
    )


def buffer(number: int, **values: object) -> Change:
    return lambda model, _: put(**values)(model.buffers[number])


def signature(tensor: int, subgraph: int = 0) -> Change:
    def change(model: Any, _: Any) -> None:
        member, made = schema.TensorMapT(), schema.SignatureDefT()
        put(name="image", tensorIndex=tensor)(member)
        put(inputs=[member], outputs=[], signatureKey="serve", subgraphIndex=subgraph)(made)
        model.signatureDefs = [made]

    return change


def sparse(_: Any, graph: Any) -> None:
    graph.tensors[WEIGHTS].sparsity = schema.SparsityParametersT()
    graph.tensors[WEIGHTS].sparsity.traversalOrder = [0, 1, 2, 3]


def calls_itself(model: Any, graph: Any) -> None:
    options = schema.CallOnceOptionsT()
    put(builtinOptions=options, builtinOptionsType=schema.BuiltinOptions.CallOnceOptions)(graph.operators[0])
    kind(schema.BuiltinOperator.CALL_ONCE)(model, graph)


CRAFTED: dict[str, tuple[Change, str]] = {
    "negative axis": (tensor(CONV1, shape=[1, -16, 24, 8]), r"tensor 1 has the shape \[1, -16"),
    "huge shape": (tensor(CONV1, shape=[2**31 - 1] * 4), "absurd shape"),
    "shape that overflows to a small one": (tensor(CONV1, shape=[65536, 65536]), "absurd shape"),
    "shape of gigabytes": (tensor(CONV1, shape=[1, 20000, 20000, 3]), "absurd shape .*MB"),
    "many axes": (tensor(CONV1, shape=[1] * 5000), "absurd shape"),
    "signature of another world": (tensor(CONV1, shapeSignature=[-7, 2]), "shape signature"),
    "type that is none": (tensor(CONV1, type=99), "is of type 99"),
    "buffer that is not there": (tensor(CONV1, buffer=4_000_000_000), "lies in buffer 4000000000"),
    "weights shorter than their shape": (tensor(WEIGHTS, shape=[8, 3, 3, 300]), "bytes where its shape"),
    "int4 weights shorter than their shape": (tensor(WEIGHTS, type=INT4), "864 bytes where its shape .* takes 108"),
    "weights of a wider type": (tensor(WEIGHTS, type=schema.TensorType.FLOAT64), "bytes where its shape"),
    "data beyond the file": (buffer(1, data=None, offset=10**9, size=10), "ends at byte 1000000010"),
    "data whose end overflows": (buffer(1, data=None, offset=2**64 - 8, size=16), "ends at byte 18446744073709551624"),
    "scales that are not its channels": (scales(WEIGHTS, [0.1] * 5, [0] * 5), "has 5 scales, which its shape"),
    "scales along no axis": (scales(WEIGHTS, [0.1] * 8, [0] * 8, -1), "has 8 scales"),
    "scales without their zero points": (scales(WEIGHTS, [0.1] * 8, [0] * 3), "8 scales and 3 zero points"),
    "scale that is no number": (scales(WEIGHTS, [float("nan")], [0]), "no positive number"),
    "infinite scale": (scales(WEIGHTS, [float("inf")], [0]), "no positive number"),
    "input that is not there": (operator(0, inputs=[0, 9999, 2]), "operator 0 names a tensor"),
    "negative input": (operator(0, inputs=[-2, 2, 3]), "operator 0 names a tensor"),
    "optional input that is not optional": (operator(0, inputs=[0, -1, 3]), "lacks inputs"),
    "negative output": (operator(0, outputs=[-1]), "operator 0 names a tensor"),
    "no output": (operator(0, outputs=[]), "operator 0 has no output"),
    "too few inputs": (operator(0, inputs=[0]), "lacks inputs"),
    "intermediates that are not there": (operator(0, intermediates=[700]), "names a tensor"),
    "operator of no kind": (operator(0, opcodeIndex=50), "is of kind 50"),
    "output over its own input": (operator(0, inputs=[0, 2, 3], outputs=[0]), "writes into what it reads"),
    "output over weights": (operator(1, outputs=[WEIGHTS]), "writes into the constant tensor 2"),
    "input that nobody has written": (operator(0, inputs=[4, 2, 3]), "reads tensor 4 before it is written"),
    "options of another operator": (
        operator(0, builtinOptions=schema.Pool2DOptionsT(), builtinOptionsType=5), "options of type 5, 1 is what"
    ),
    "no options": (operator(0, builtinOptions=None, builtinOptionsType=0), "options of type 0, 1 is what"),
    "stride 0": (option(0, strideW=0), "stride, window, block or share of 0"),
    "negative dilation": (option(0, dilationHFactor=-1), "stride, window, block or share of -1"),
    "picture without channels": (tensor(IMAGE, shape=[1, 32, 48, 0]), "has inputs of the shapes"),
    "shape that is no integers": (lambda _, g: put(inputs=[g.operators[-1].inputs[0], WEIGHTS])(g.operators[-1]),
        "holds no int32"),
    "subgraph that calls itself": (calls_itself, "which are not after its own"),
    "graph input that is not there": (lambda _, g: put(inputs=[123])(g), "not among its"),
    "graph output that is never written": (
        lambda _, g: (g.tensors.append(schema.TensorT()), put(outputs=[len(g.tensors) - 1])(g)), "is never written"
    ),
    "signature of a tensor that is not there": (signature(2**32 - 1), "not among its"),
    "signature of a subgraph that is not there": (signature(0, 7), "there are 1"),
    "no operators": (lambda _, g: put(operators=[])(g), "has no operators"),
    "no subgraph": (lambda m, _: put(subgraphs=[])(m), "has no operators"),
    "another version": (lambda m, _: put(version=4)(m), "version 4"),
    "operator from the future": (kind(29999), "operator 29999 is not known"),
    "StableHLO": (kind(schema.BuiltinOperator.STABLEHLO_SORT), "not known to TFLite runtimes"),
    "custom operator": (kind(32, "FlexEval"), "'FlexEval' is of somebody's own making"),
    "post-processing without its options": (kind(32, "TFLite_Detection_PostProcess"), "has no options"),
    "sparse weights": (sparse, "tensor 2 is stored sparse"),
    "weights in another file": (tensor(WEIGHTS, externalBuffer=1), "tensor 2 lies in another file"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), CRAFTED.values(), ids=CRAFTED)
def test_a_crafted_file_is_refused_in_one_line_before_the_runtime_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, words: str
) -> None:
    class Untouched:
        def __getattr__(self, name: str) -> Any:
            pytest.fail(f"the runtime was asked for {name}")

    (tmp_path / "m.tflite").write_bytes(altered(change))
    monkeypatch.setattr(tflite, "find_runtime", Untouched)

    with pytest.raises(ModelError, match=words) as caught:
        tflite.Backend(tmp_path / "m.tflite", 1)

    assert str(caught.value).startswith(f"model {tmp_path / 'm.tflite'}: cannot load it")
    assert "\n" not in str(caught.value)


def test_the_file_they_were_made_from_is_good(tmp_path: Path) -> None:
    """The table above means something only if nothing else is wrong."""
    (tmp_path / "m.tflite").write_bytes(altered(lambda *_: None))

    assert len(tflite.Backend(tmp_path / "m.tflite", 1).run()) == 2


def test_real_models_pass(data_dir: Path) -> None:
    files = sorted((data_dir / "models").glob("*.tflite"))
    assert files
    for data in (SHIPPED, TINY, *(file.read_bytes() for file in files)):
        assert soundness.unknown(soundness.check(data)) == ""


def test_what_the_edge_tpu_s_compiler_writes_passes() -> None:
    def compiled(model: Any, graph: Any) -> None:
        kind(32, "edgetpu-custom-op")(model, graph)
        operator(0, customOptions=np.zeros(900, np.uint8), builtinOptions=None, builtinOptionsType=0)(model, graph)
        graph.operators, graph.outputs = graph.operators[:1], [CONV1]

    assert soundness.unknown(soundness.check(altered(compiled))) == ""


@pytest.mark.parametrize("data", [TINY, SHIPPED], ids=["tiny", "shipped"])
def test_what_is_read_is_what_the_schema_s_own_reader_reads(data: bytes) -> None:
    ours, theirs = Reader(data).model(), unpacked(data)

    assert [operators.number(c) for c in ours.codes] == [
        max(c.builtinCode, c.deprecatedBuiltinCode) for c in theirs.operatorCodes
    ]
    assert [b.data for b in ours.buffers] == [0 if b.data is None else len(b.data) for b in theirs.buffers]
    graph, expected = ours.subgraphs[0], theirs.subgraphs[0]
    for mine, other in zip(graph.tensors, expected.tensors, strict=True):
        assert (mine.shape, mine.type, mine.buffer) == (tuple(other.shape), other.type, other.buffer)
        assert mine.name == other.name
        if mine.quantization and len(mine.quantization.scales):
            assert mine.quantization.scales.tolist() == list(other.quantization.scale)
            assert mine.quantization.axis == other.quantization.quantizedDimension
    for step, other in zip(graph.operators, expected.operators, strict=True):
        assert (step.inputs, step.outputs) == (tuple(other.inputs), tuple(other.outputs))
        assert (step.kind, step.options_type) == (other.opcodeIndex, other.builtinOptionsType)
    assert (graph.inputs, graph.outputs) == (tuple(expected.inputs), tuple(expected.outputs))


def test_options_are_those_of_the_schema() -> None:
    """Names there are nearly the same on both sides: CONV_2D takes Conv2DOptions."""
    kinds = {name.replace("_", "").lower(): number for name, number in vars(schema.BuiltinOperator).items()}
    agree = 0
    for name, number in vars(schema.BuiltinOptions).items():
        code = kinds.get(name.removesuffix("Options").lower())
        if code in operators._OPTIONS:
            assert operators._OPTIONS[code] == number, name
            agree += 1
    assert agree >= 50


def test_tables_that_share_one_place_are_refused_before_they_are_read() -> None:
    """150,000 buffers that are all the same few bytes: a small file that poses as a huge one."""
    build = flatbuffers.Builder(1 << 16)
    one = schema.BufferT().Pack(build)
    schema.ModelStartBuffersVector(build, 150_000)
    for _ in range(150_000):
        build.PrependUOffsetTRelative(one)
    buffers = build.EndVector()
    schema.ModelStart(build)
    schema.ModelAddVersion(build, 3)
    schema.ModelAddBuffers(build, buffers)
    build.Finish(schema.ModelEnd(build), file_identifier=b"TFL3")

    with pytest.raises(Unsound, match="built to exhaust"):
        soundness.check(bytes(build.Output()))


def said(data: bytes) -> str:
    """Why it is refused; "" for a file that passes."""
    try:
        return soundness.unknown(soundness.check(data))
    except Unsound as error:
        return str(error)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.3, 0.6, 0.9, 0.99, 0.9999])
def test_a_file_cut_short_is_refused(share: float) -> None:
    assert said(TINY[: int(len(TINY) * share)])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(TINY) // 4 - 1),
            st.sampled_from([0, 1, 2, 3, 1000, 65536, 1 << 30, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF]),
        ),
        min_size=1,
        max_size=12,
    )
)
@example([(0, 0xFFFFFFFF)])
@example([(0, 4)])
def test_no_damage_leads_to_anything_but_a_model_or_one_line(damage: list[tuple[int, int]]) -> None:
    words = np.frombuffer(TINY, np.uint32, len(TINY) // 4).copy()
    for place, value in damage:
        words[place] = value
    assert "\n" not in said(words.tobytes() + TINY[4 * len(words) :])
