"""Whether a flatbuffer can be trusted: crafted bytes must cost nothing and reach nobody.

A TFLite file may come from anywhere. Its tables point at each other by offsets, so a file of a few kilobytes can
claim millions of tensors that all share one place (`meter` stops that before anything is unpacked), and an unpacked
model can name tensors that are not there or shapes that its bytes do not fill (`fault` finds that). Python checks
every read against the buffer's end; what is left for us is size and sense.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from convert import ConvertError

MOST_ELEMENTS = 1 << 31  # of one tensor: the largest that TFLite itself can index
MOST_AXES = 8
_WIDTHS = {  # bytes an element
    schema.TensorType.FLOAT32: 4, schema.TensorType.FLOAT16: 2, schema.TensorType.INT32: 4,
    schema.TensorType.UINT8: 1, schema.TensorType.INT64: 8, schema.TensorType.BOOL: 1,
    schema.TensorType.INT16: 2, schema.TensorType.INT8: 1, schema.TensorType.FLOAT64: 8,
}  # fmt: skip


def meter(flatbuffer: bytes) -> None:
    """Raises ConvertError for a file whose tables and strings, counted as they are reached, exceed its own bytes.

    In an honest file every one of them takes up room of its own; one that shares them is built to exhaust its reader.
    """
    left = len(flatbuffer)
    waiting: list[Any] = [schema.Model.GetRootAs(flatbuffer, 0)]
    while waiting:
        table = waiting.pop()
        for name in _members(type(table)):
            length = getattr(table, f"{name}Length", None)
            found = _elements(getattr(table, name), length() if length else None, left)
            left -= sum(len(x) if isinstance(x, bytes) else 4 for x in found)
            if left < 0:
                raise ConvertError("a TFLite file that is built to exhaust its reader; refused")
            waiting += [x for x in found if hasattr(x, "_tab")]


def _members(kind: type) -> list[str]:
    """Names of a table's own strings, tables, and vectors of them."""
    return _KNOWN.setdefault(
        kind,
        [
            name
            for name in vars(kind)
            if name[0].isupper()
            and not name.endswith(("Length", "AsNumpy", "IsNone", "BufferHasIdentifier"))
            and not name.startswith("GetRootAs")
            and name != "Init"
        ],
    )


_KNOWN: dict[type, list[str]] = {}


def _elements(member: Any, length: int | None, left: int) -> list[Any]:
    if length is None:
        value = member()
        return [value] if isinstance(value, bytes) or hasattr(value, "_tab") else []
    if length == 0:
        return []
    first = member(0)
    if not (isinstance(first, bytes) or hasattr(first, "_tab")):
        return []  # numbers: unpacked as a view, however many
    if 4 * length > left:
        raise ConvertError("a TFLite file that is built to exhaust its reader; refused")
    return [first, *(member(i) for i in range(1, length))]


def fault(model: Any, size: int) -> str:
    """What a ModelT of `size` bytes says that cannot be; "" where all of it can."""
    for subgraph in model.subgraphs or []:
        tensors = subgraph.tensors or []
        if not tensors or not subgraph.operators or not model.operatorCodes:
            return "it has no operators"
        for number, tensor in enumerate(tensors):
            what = _tensor_fault(tensor, model.buffers or [], size)
            if what:
                return f"tensor {number} {what}"
        what = _operator_fault(subgraph.operators, len(model.operatorCodes), len(tensors))
        if what:
            return what
        named = [m.tensorIndex for s in model.signatureDefs or [] for m in [*(s.inputs or []), *(s.outputs or [])]]
        if not all(_within(side, 0, len(tensors)) for side in (subgraph.inputs, subgraph.outputs, named)):
            return f"an input or output is not among its {len(tensors)} tensors"
    return ""


def _operator_fault(operators: list[Any], kinds: int, tensors: int) -> str:
    for number, operator in enumerate(operators):
        if not 0 <= operator.opcodeIndex < kinds:
            return f"operator {number} is of kind {operator.opcodeIndex}, there are {kinds}"
        if not (_within(operator.inputs, -1, tensors) and _within(operator.outputs, 0, tensors)):
            return f"operator {number} names a tensor that is not among its {tensors}"
        if operator.outputs is None or len(operator.outputs) == 0:
            return f"operator {number} has no output"
    return ""


def _tensor_fault(tensor: Any, buffers: list[Any], size: int) -> str:
    shape = [] if tensor.shape is None else [int(n) for n in np.asarray(tensor.shape).ravel()]
    if any(n < 0 for n in shape):
        return f"has the shape {shape}"
    if len(shape) > MOST_AXES or math.prod(shape) > MOST_ELEMENTS:
        return f"has the absurd shape {shape[: MOST_AXES + 1]}"
    if not 0 <= tensor.buffer < len(buffers):
        return f"lies in buffer {tensor.buffer}, there are {len(buffers)}"
    buffer = buffers[tensor.buffer]
    outside = (buffer.offset or 0) > 1
    if outside and buffer.offset + (buffer.size or 0) > size:
        return f"ends at byte {buffer.offset + buffer.size} of {size}"
    stored = buffer.size if outside else 0 if buffer.data is None else len(buffer.data)
    width = _WIDTHS.get(tensor.type)
    if stored and width and tensor.sparsity is None and stored != math.prod(shape) * width:
        return f"has {stored} bytes where its shape {shape} takes {math.prod(shape) * width}"
    return _scale_fault(tensor.quantization, shape)


def _scale_fault(quantization: Any, shape: list[int]) -> str:
    if quantization is None or quantization.scale is None:
        return ""
    scales = np.asarray(quantization.scale, np.float64)
    points = 0 if quantization.zeroPoint is None else len(quantization.zeroPoint)
    if not np.isfinite(scales).all() or (scales < 0).any():
        return "has a scale that is no positive number"
    if len(scales) and points not in (len(scales), 1, 0):
        return f"has {len(scales)} scales and {points} zero points"
    axis = int(quantization.quantizedDimension or 0)
    if len(scales) > 1 and (not 0 <= axis < len(shape) or shape[axis] != len(scales)):
        return f"has {len(scales)} scales, which its shape {shape} does not"
    return ""


def _within(indices: Any, low: int, high: int) -> bool:
    return indices is None or all(low <= int(i) < high for i in np.asarray(indices).ravel())
