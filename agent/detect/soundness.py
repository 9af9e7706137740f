"""Whether a .tflite can be handed to a runtime: every index, shape and length in it held against the others.

    flatbuffer.Reader   offsets   every table, vector and string lies inside the file
    check               sense     shapes, buffers, scales, operators; each tensor is written before it is read
    unknown             taste     operators and features that no runtime here knows, or that lead out of the file

Runtimes check some of this, each version other parts; what they left out has been a CVE more than once (2020-15210 to
15214: negative and shared tensor indices; 2022-23558: overflowing shapes; 2023-27579: empty filters). A file that
passes may still ask for more memory than there is, or hit a fault of a kernel: proof.py tries it in a process apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agent.detect import operators
from agent.detect.flatbuffer import Reader, Unsound
from agent.detect.schema import Buffer, Model, Operator, Quantization, Subgraph, Tensor

MOST_ELEMENTS = 1 << 31  # of one tensor: the largest that TFLite itself can index
MOST_BYTES = 1 << 29  # of one activation; half a Pi's memory
MOST_AXES = 8
OPEN, VERSION = -1, 3  # an axis of any length; of the schema
_BITS = {  # an element; schema.fbs, TensorType. Strings, resources and variants have no fixed size
    0: 32,
    1: 16,
    2: 32,
    3: 8,
    4: 64,
    6: 8,
    7: 16,
    8: 64,
    9: 8,
    10: 64,
    11: 128,
    12: 64,
    15: 32,
    16: 16,
    17: 4,
    18: 16,
    19: 2,
    20: 4,
    21: 8,
    22: 8,
}
_UNSIZED = {5, 13, 14}


def check(data: bytes) -> Model:
    """The tables of a file that holds together. Raises Unsound, with what cannot be."""
    reader = Reader(data)
    model = reader.model()
    what = _fault(model, reader, len(data))
    if what:
        raise Unsound(f"contradicts itself: {what}")
    return model


def unknown(model: Model) -> str:
    """What the agent's runtimes are not given, however well it is written; "" for nothing."""
    strangers = [what for what in map(operators.unknown, model.codes) if what]
    if strangers:
        return strangers[0]
    for subgraph in model.subgraphs:
        for number, tensor in enumerate(subgraph.tensors):
            if tensor.external:
                return f"tensor {number} lies in another file"
            if tensor.sparsity is not None:
                return f"tensor {number} is stored sparse"
            if tensor.quantization and tensor.quantization.details:
                return f"tensor {number} is quantised in a way of its own"
    return ""


def _fault(model: Model, reader: Reader, size: int) -> str:
    if model.version != VERSION:
        return f"it is of version {model.version}, there is {VERSION}"
    for number, buffer in enumerate(model.buffers):
        if buffer.offset > 1 and buffer.offset + buffer.size > size:
            return f"buffer {number} ends at byte {buffer.offset + buffer.size} of {size}"
    for number, subgraph in enumerate(model.subgraphs):
        what = _subgraph_fault(subgraph, model, reader, number, size)
        if what:
            return f"{what} (subgraph {number})" if number else what
    return _named_fault(model) if model.subgraphs else "it has no operators"


def _named_fault(model: Model) -> str:
    """Of what stands beside the graph: metadata, signatures."""
    if not all(entry.buffer < len(model.buffers) for entry in model.metadata):
        return f"its metadata lie in a buffer that is not among its {len(model.buffers)}"
    for signature in model.signatures:
        if signature.subgraph >= len(model.subgraphs):
            return f"a signature is of subgraph {signature.subgraph}, there are {len(model.subgraphs)}"
        tensors = len(model.subgraphs[signature.subgraph].tensors)
        if not all(member.tensor < tensors for member in (*signature.inputs, *signature.outputs)):
            return f"an input or output is not among its {tensors} tensors"
    return ""


def _subgraph_fault(subgraph: Subgraph, model: Model, reader: Reader, own: int, size: int) -> str:
    tensors = subgraph.tensors
    if not tensors or (not own and not (subgraph.operators and model.codes)):
        return "it has no operators"
    for number, tensor in enumerate(tensors):
        what = _tensor_fault(tensor, model.buffers)
        if what:
            return f"tensor {number} {what}"
    if not all(_within(side, 0, len(tensors)) for side in (subgraph.inputs, subgraph.outputs)):
        return f"an input or output is not among its {len(tensors)} tensors"
    for number, operator in enumerate(subgraph.operators):
        if operator.kind >= len(model.codes):
            return f"operator {number} is of kind {operator.kind}, there are {len(model.codes)}"
        code = model.codes[operator.kind]
        what = _operator_fault(operator, len(tensors), size) or operators.inputs_fault(operator, code, tensors)
        what = what or operators.options_fault(operator, code, reader, own, len(model.subgraphs))
        if what:
            return f"operator {number} {what}"
    return _order_fault(subgraph, model.buffers)


def _tensor_fault(tensor: Tensor, buffers: Sequence[Buffer]) -> str:
    what = _shape_fault(tensor)
    if what:
        return what
    if tensor.buffer >= len(buffers):
        return f"lies in buffer {tensor.buffer}, there are {len(buffers)}"
    if tensor.type not in _BITS and tensor.type not in _UNSIZED:
        return f"is of type {tensor.type}, which is none"
    stored, takes = _stored(buffers[tensor.buffer]), (math.prod(tensor.shape) * _BITS.get(tensor.type, 0) + 7) // 8
    if stored and stored != takes and tensor.type in _BITS and tensor.sparsity is None:
        return f"has {stored} bytes where its shape {list(tensor.shape)} takes {takes}"
    if not stored and takes > MOST_BYTES:
        return f"has the absurd shape {list(tensor.shape)}, {takes >> 20} MB"
    return _scale_fault(tensor.quantization, tensor.shape)


def _shape_fault(tensor: Tensor) -> str:
    shape = list(tensor.shape[: MOST_AXES + 1])
    if any(n < 0 for n in shape):
        return f"has the shape {shape}"
    if len(shape) > MOST_AXES or math.prod(shape) > MOST_ELEMENTS:
        return f"has the absurd shape {shape}"
    if any(n < OPEN for n in tensor.signature):
        return f"has the shape signature {list(tensor.signature[:MOST_AXES])}"
    return ""


def _scale_fault(quantization: Quantization | None, shape: Sequence[int]) -> str:
    if quantization is None or not len(quantization.scales):
        return ""
    scales, points = quantization.scales, quantization.zero_points
    if not (scales.min() >= 0 and scales.max() < math.inf):  # not so with NaN either
        return "has a scale that is no positive number"
    if points not in (len(scales), 1, 0):
        return f"has {len(scales)} scales and {points} zero points"
    axis = quantization.axis
    if len(scales) > 1 and (not 0 <= axis < len(shape) or shape[axis] != len(scales)):
        return f"has {len(scales)} scales, which its shape {list(shape)} does not"
    return ""


def _operator_fault(operator: Operator, tensors: int, size: int) -> str:
    used, outputs = (operator.inputs, operator.intermediates), operator.outputs
    if not all(_within(side, operators.OPTIONAL, tensors) for side in used) or not _within(outputs, 0, tensors):
        return f"names a tensor that is not among its {tensors}"
    if not outputs:
        return "has no output"
    if set(outputs) & set(operator.inputs) or len(set(outputs)) < len(outputs):
        return "writes into what it reads, or twice into one tensor"
    if operator.large_offset > 1 and operator.large_offset + operator.large_size > size:
        return f"has options that end at byte {operator.large_offset + operator.large_size} of {size}"
    return ""


def _order_fault(subgraph: Subgraph, buffers: Sequence[Buffer]) -> str:
    """A tensor that is read before anything was written into it has no memory; a constant's may not be written."""
    tensors = subgraph.tensors
    constant = {i for i, tensor in enumerate(tensors) if _stored(buffers[tensor.buffer])}
    ready = constant | {i for i, tensor in enumerate(tensors) if tensor.is_variable}
    ready |= set(subgraph.inputs)
    for number, operator in enumerate(subgraph.operators):
        early = [i for i in operator.inputs if i >= 0 and i not in ready and _holds(tensors[i])]
        if early:
            return f"operator {number} reads tensor {early[0]} before it is written"
        outputs = set(operator.outputs)
        if outputs & constant:
            return f"operator {number} writes into the constant tensor {min(outputs & constant)}"
        ready |= outputs
    missing = set(subgraph.outputs) - ready
    return f"its output, tensor {min(missing)}, is never written" if missing else ""


def _holds(tensor: Tensor) -> bool:
    return math.prod(tensor.shape) > 0


def _stored(buffer: Buffer) -> int:
    """Bytes of constant data."""
    return buffer.size if buffer.offset > 1 else buffer.data


def _within(indices: Sequence[int], low: int, high: int) -> bool:
    return not indices or (min(indices) >= low and max(indices) < high)
