"""What is inside a .tflite: operators, tensors, scales, signature, and where it computes in float.

from convert import graph
g = graph.read(path.read_bytes())
print(graph.describe(g))
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import flatbuffers
import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from agent.detect import soundness
from agent.detect.flatbuffer import Unsound
from convert import ConvertError

OPERATORS = {v: n for n, v in vars(schema.BuiltinOperator).items() if n.isupper()}  # code -> CONV_2D, ..
DTYPES = {v: n.lower() for n, v in vars(schema.TensorType).items() if n.isupper()}  # code -> int8, ..
_SMALL = 256  # bytes of a constant whose values are kept
_FLOATS = ("float16", "float32", "float64", "bfloat16")


class TensorInfo(msgspec.Struct, frozen=True):
    """One tensor of the graph."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]  # none for plain numbers, one a tensor, or one a channel
    zero_points: tuple[int, ...]
    constant: bool  # weights, biases, shapes; the others are activations
    dynamic: bool = False  # its shape is marked as one that may change
    values: tuple[int, ...] | None = None  # of a small integer constant: axes, paddings, strides


class Operator(msgspec.Struct, frozen=True):
    """One operator; tensors by index, -1 = an optional input that is not there."""

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, int] = {}  # the schema's own names: strideW, fusedActivationFunction, ..


class Graph(msgspec.Struct, frozen=True):
    """A model with one subgraph."""

    tensors: tuple[TensorInfo, ...]
    operators: tuple[Operator, ...]
    inputs: dict[str, int]  # signature name (the tensor's own where there is no signature) -> tensor
    outputs: dict[str, int]

    def activations(self) -> list[str]:
        """Names of the float tensors that change from picture to picture, in the graph's order."""
        return [t.name for t in self.tensors if not t.constant and t.dtype in _FLOATS]


def unpack(flatbuffer: bytes) -> Any:
    """The schema's ModelT of a file. Raises ConvertError for bytes that are not a TFLite model with one subgraph."""
    if flatbuffer[4:8] != b"TFL3":
        raise ConvertError("not a TFLite file (no TFL3 mark in its first 8 bytes)")
    try:
        soundness.check(flatbuffer)
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    except Unsound as error:
        raise ConvertError(f"a TFLite file that {error}") from error
    except Exception as error:  # struct, index, type: whatever broken bytes lead to where the agent does not look
        raise ConvertError(f"a TFLite file that is broken or cut short ({type(error).__name__})") from error
    if len(model.subgraphs or []) != 1:
        raise ConvertError(f"a TFLite model with {len(model.subgraphs or [])} subgraphs; one is supported")
    return model


def pack(model: Any) -> bytes:
    """ModelT -> the bytes of a file; same model, same bytes."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def read(flatbuffer: bytes) -> Graph:
    """The graph of a file; a ZIP appended to it does not matter. Raises ConvertError."""
    model = unpack(flatbuffer)
    subgraph = model.subgraphs[0]
    tensors = tuple(_tensor(t, model.buffers[t.buffer]) for t in subgraph.tensors)
    codes = [(operator_name(c), int(c.version)) for c in model.operatorCodes]
    operators = tuple(
        Operator(name, version, _indices(o.inputs), _indices(o.outputs), _options(o.builtinOptions))
        for o in subgraph.operators
        for name, version in [codes[o.opcodeIndex]]
    )
    signatures = model.signatureDefs or []
    if len(signatures) == 1:
        sides = [
            {text(m.name): int(m.tensorIndex) for m in side} for side in (signatures[0].inputs, signatures[0].outputs)
        ]
    else:
        sides = [{tensors[i].name: i for i in _indices(side)} for side in (subgraph.inputs, subgraph.outputs)]
    return Graph(tensors, operators, *sides)


def float_operators(graph: Graph) -> list[Operator]:
    """Operators that take in or put out float activations: in an int8 model, its float islands and their bridges."""

    def is_float(index: int) -> bool:
        return index >= 0 and not graph.tensors[index].constant and graph.tensors[index].dtype in _FLOATS

    return [o for o in graph.operators if any(is_float(i) for i in (*o.inputs, *o.outputs))]


def describe(graph: Graph) -> list[str]:
    """Lines for a reader: inputs and outputs with their scales, operators by kind, float islands."""
    lines = []
    for side, members in (("input", graph.inputs), ("output", graph.outputs)):
        lines += [f"{side:9} {name:16} {_shown(graph.tensors[i])}" for name, i in members.items()]
    counts = Counter(f"{o.name} v{o.version}" for o in graph.operators)
    lines.append("operators " + ", ".join(f"{n} {name}" for name, n in counts.most_common()))
    stored = Counter(t.dtype for t in graph.tensors if t.constant)
    moving = Counter(t.dtype for t in graph.tensors if not t.constant)
    for what, kinds in (("constants", stored), ("tensors", moving)):
        lines.append(f"{what:9} " + ", ".join(f"{n} {dtype}" for dtype, n in kinds.most_common()))
    islands = float_operators(graph)
    lines.append(f"float     {len(islands)} of {len(graph.operators)} operators")
    lines += [f"          {o.name} -> {graph.tensors[o.outputs[0]].name}" for o in islands[:20]]
    return lines + ([f"          .. and {len(islands) - 20} more"] if len(islands) > 20 else [])


def operator_name(code: Any) -> str:
    """CONV_2D, .. of an OperatorCodeT; a custom operator's own name."""
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = OPERATORS.get(number, f"operator {number}")
    return text(code.customCode) if name == "CUSTOM" and code.customCode else name


def text(value: bytes | str | None) -> str:
    """A string of the flatbuffer; bytes that are no UTF-8 become question marks."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _tensor(tensor: Any, buffer: Any) -> TensorInfo:
    quantization = tensor.quantization
    scales = [] if quantization is None or quantization.scale is None else quantization.scale
    zero_points = [] if quantization is None or quantization.zeroPoint is None else quantization.zeroPoint
    return TensorInfo(
        text(tensor.name),
        _indices(tensor.shape),
        DTYPES.get(tensor.type, f"type {tensor.type}"),
        tuple(float(s) for s in scales),
        tuple(int(z) for z in zero_points),
        (buffer.data is not None and len(buffer.data) > 0) or (buffer.offset or 0) > 1,
        -1 in _indices(tensor.shapeSignature),
        _values(tensor, buffer),
    )


def _values(tensor: Any, buffer: Any) -> tuple[int, ...] | None:
    """Axes, paddings and the like; None for floats, for biases (they have a scale), and for what is large."""
    dtype = {schema.TensorType.INT32: np.int32, schema.TensorType.INT64: np.int64}.get(tensor.type)
    scaled = tensor.quantization is not None and tensor.quantization.scale is not None
    if dtype is None or scaled or buffer.data is None or not 0 < len(buffer.data) <= _SMALL:
        return None
    if len(buffer.data) % np.dtype(dtype).itemsize:  # a sparse one
        return None
    return _indices(np.asarray(buffer.data, np.uint8).view(dtype))


def _options(options: Any) -> dict[str, int]:
    return {name: int(value) for name, value in vars(options).items() if isinstance(value, int)} if options else {}


def _indices(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(int(v) for v in np.asarray(values).ravel())


def _shown(tensor: TensorInfo) -> str:
    zero_point = tensor.zero_points[0] if tensor.zero_points else 0
    scale = f", scale {tensor.scales[0]:.6g}, zero point {zero_point}" if tensor.scales else ""
    return f"{tensor.dtype} {list(tensor.shape)}{scale}"
