"""A quantizer's leavings mended, so that old runtimes, strict compilers and the agent's contract are all served.

    out-of-line buffers    moved back inside the flatbuffer: a file may have a ZIP behind it
    shape signatures       dropped where the shape is known: marks of dynamic shapes that are none
    operator versions      raised to the least that defines the int8 form: quantizers leave 1
    names and order        the contract's, of input and outputs, in the tensors and in one signature
    metadata               dropped: tools write traces of themselves there, and bytes must repeat
    unused                 tensors, buffers and operator codes that nothing refers to

`tidy` does it; `check` loads the result in the agent's own backend and proves that it still answers the same bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from agent.detect.backends.tflite import Backend
from agent.modelfile import ModelError
from convert import ConvertError
from convert.tflite import graph

# The least version of an operator that takes int8. Source: tensorflow/lite/tools/versioning/op_version.cc.
_INT8_VERSIONS = {
    "ADD": 2, "AVERAGE_POOL_2D": 2, "BATCH_TO_SPACE_ND": 2, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3,
    "DEQUANTIZE": 2, "FULLY_CONNECTED": 4, "L2_NORMALIZATION": 2, "LOGISTIC": 2, "MAX_POOL_2D": 2, "MAXIMUM": 2,
    "MEAN": 2, "MINIMUM": 2, "MUL": 2, "PAD": 2, "PADV2": 2, "RELU": 2, "RELU6": 2, "RESIZE_BILINEAR": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2, "SLICE": 2, "SOFTMAX": 2, "SPACE_TO_BATCH_ND": 2, "SPLIT": 2, "STRIDED_SLICE": 2,
    "SUB": 2, "SUM": 2, "TANH": 2, "TRANSPOSE": 2, "TRANSPOSE_CONV": 2,
}  # fmt: skip
_TRIALS = 3  # inputs that `check` compares on


def tidy(flatbuffer: bytes, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> bytes:
    """The same graph, mended; `inputs` and `outputs` map the names it has now to the contract's, in their order.

    Raises ConvertError where its names are others. Same input, same bytes.
    """
    model, known = graph.unpack(flatbuffer), graph.read(flatbuffer)
    for wanted, have in ((inputs, known.inputs), (outputs, known.outputs)):
        if set(wanted) != set(have):
            raise ConvertError(f"finalise: the graph has {', '.join(have)} where {', '.join(wanted)} is wanted")
    _inline(model, flatbuffer)
    _make_static(model)
    _raise_versions(model)
    model.metadata = model.metadataBuffer = model.description = None
    places = _drop_unused(model)
    _name(
        model,
        {contract: places[known.inputs[name]] for name, contract in inputs.items()},
        {contract: places[known.outputs[name]] for name, contract in outputs.items()},
    )
    return graph.pack(model)


def check(before: bytes, after: bytes, outputs: Mapping[str, str]) -> None:
    """Both loaded and run on the same inputs: every output the same bits. Raises ConvertError."""
    generator = np.random.default_rng(0)
    old, new = _load(before), _load(after)
    for _ in range(_TRIALS):
        picture = generator.integers(0, 256, new.input.shape, np.uint8)
        results = []
        for backend in (old, new):
            view = backend.input
            view[...] = picture.view(np.int8) if view.dtype == np.int8 else picture.astype(view.dtype)
            del view
            results.append({t.name: a.copy() for t, a in zip(backend.outputs, backend.run(), strict=True)})
        for name, contract in outputs.items():
            if not np.array_equal(results[0][name], results[1][contract]):
                raise ConvertError(f"finalise changed the answers of output {contract}; the file is not written")


def _load(flatbuffer: bytes) -> Backend:
    with tempfile.TemporaryDirectory(prefix="lookout-check-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(flatbuffer)
        try:
            return Backend(path, 1)
        except ModelError as error:
            raise ConvertError(f"the converted model does not run here: {str(error).partition(': ')[2]}") from error


def _inline(model: Any, flatbuffer: bytes) -> None:
    for buffer in model.buffers:
        if (buffer.offset or 0) > 1:
            buffer.data = np.frombuffer(flatbuffer, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0


def _make_static(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if tensor.shapeSignature is not None and not np.any(np.asarray(tensor.shape) < 0):
            tensor.shapeSignature = None


def _raise_versions(model: Any) -> None:
    subgraph = model.subgraphs[0]
    int8 = schema.TensorType.INT8
    for operator in subgraph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        name = graph.operator_name(code)
        kinds = [subgraph.tensors[i].type for i in (operator.inputs[0], operator.outputs[0])]
        if name in _INT8_VERSIONS and int8 in kinds:
            code.version = max(code.version, _INT8_VERSIONS[name])
        elif name == "QUANTIZE" and kinds == [int8, int8]:  # from one scale to another
            code.version = max(code.version, 2)


def _drop_unused(model: Any) -> dict[int, int]:
    """Where each tensor that stays went: old index -> new."""
    subgraph = model.subgraphs[0]
    refers = [i for o in subgraph.operators for side in (o.inputs, o.outputs) for i in side if i >= 0]
    kept = sorted({int(i) for i in (*refers, *subgraph.inputs, *subgraph.outputs)})
    places = {old: new for new, old in enumerate(kept)}
    subgraph.tensors = [subgraph.tensors[i] for i in kept]
    for operator in subgraph.operators:
        operator.inputs = [places.get(int(i), -1) for i in operator.inputs]
        operator.outputs = [places[int(i)] for i in operator.outputs]
    buffers = sorted({0} | {t.buffer for t in subgraph.tensors})  # buffer 0 is the empty one, by convention
    codes = sorted({o.opcodeIndex for o in subgraph.operators})
    for tensor in subgraph.tensors:
        tensor.buffer = buffers.index(tensor.buffer)
    for operator in subgraph.operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
    model.buffers = [model.buffers[i] for i in buffers]
    model.operatorCodes = [model.operatorCodes[i] for i in codes]
    return places


def _name(model: Any, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
    """Contract names on tensors, in one signature, and the subgraph's own lists in the contract's order."""
    subgraph = model.subgraphs[0]
    for name, index in (*inputs.items(), *outputs.items()):
        if any(graph.text(t.name) == name for i, t in enumerate(subgraph.tensors) if i != index):
            raise ConvertError(f"finalise: another tensor of the graph is called {name!r} already")
        subgraph.tensors[index].name = name
    subgraph.inputs, subgraph.outputs = list(inputs.values()), list(outputs.values())
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = _members(inputs), _members(outputs)
    model.signatureDefs = [signature]


def _members(places: Mapping[str, int]) -> list[Any]:
    members = []
    for name, index in places.items():
        member = schema.TensorMapT()
        member.name, member.tensorIndex = name, index
        members.append(member)
    return members
