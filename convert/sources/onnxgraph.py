"""An ONNX file as a checked graph: one picture in, standard operators, shapes in numbers. For a child's eyes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from agent.data import Array
from convert import ConvertError

_MOST_PIXELS = 4096 * 4096  # of an input; more is a mistake or an attack
_DOMAINS = ("", "ai.onnx")
_SHAPING = ("Reshape", "Transpose", "Unsqueeze", "Squeeze", "Slice", "Split", "Identity", "Cast")
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "DynamicQuantizeLinear")
_COARSEST = 32  # px a cell; a YOLO's input is a multiple of it


class Graph:
    """A checked model: one picture in, standard operators, fixed shapes."""

    def __init__(self, model: Any, size: tuple[int, int] | None) -> None:
        self.model = model
        _check_operators(model.graph.node)
        self.input = _one_input(model.graph)
        self.size = _fixed_size(self.input, size)
        _fix(model, self.input, self.size)
        self.nodes = list(model.graph.node)
        self.producer = {name: node for node in self.nodes for name in node.output}
        self.outputs = [o.name for o in model.graph.output]

    def ancestors(self, output: str) -> tuple[list[Any], bool]:
        """The convolutions that a tensor is made of, in the graph's order, and whether anything else feeds it."""
        found, other, seen, waiting = set(), False, set(), [output]
        while waiting:
            name = waiting.pop()
            node = self.producer.get(name)
            if name in seen:
                continue
            seen.add(name)
            if node is None:
                other |= name == self.input.name
            elif node.op_type == "Conv" and not self._sums_a_softmax(node):
                found.add(node.output[0])
            else:
                waiting += [i for i in node.input if i]
        return [n for n in self.nodes if n.op_type == "Conv" and n.output[0] in found], other

    def operators(self, output: str, ends: set[str]) -> set[str]:
        """Operators between some tensors and one that is made of them."""
        kinds, seen, waiting = set(), set(), [output]
        while waiting:
            name = waiting.pop()
            if name in seen or name in ends or name not in self.producer:
                continue
            seen.add(name)
            kinds.add(self.producer[name].op_type)
            waiting += [i for i in self.producer[name].input if i]
        return kinds

    def _sums_a_softmax(self, conv: Any) -> bool:
        node = self.producer.get(conv.input[0])
        while node is not None and node.op_type in _SHAPING:
            node = self.producer.get(node.input[0])
        return node is not None and node.op_type == "Softmax"


def load(file: Path, size: tuple[int, int] | None) -> Graph:
    """Read and check. Raises ConvertError."""
    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # protobuf's own
        raise ConvertError(f"not an ONNX file, or cut short ({type(error).__name__})") from error
    tensors = list(model.graph.initializer)
    tensors += [a.t for n in model.graph.node for a in n.attribute if a.type == onnx.AttributeProto.TENSOR]
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in tensors):
        raise ConvertError("keeps its weights in another file; save it as one (onnx.save without external data)")
    if any(int(np.prod(t.dims, dtype=np.float64)) > 1 << 30 for t in tensors):
        raise ConvertError("has a weight of more than a thousand million numbers; refused")
    if not model.graph.node:
        raise ConvertError("an ONNX file without a graph; export it again")
    return Graph(model, size)


def _check_operators(nodes: list[Any]) -> None:
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in nodes if n.domain not in _DOMAINS})
    if foreign:
        raise ConvertError(f"has operators that are not ONNX's own ({', '.join(foreign[:3])}); export it without them")
    if any(n.op_type in _QUANTISED for n in nodes):
        raise ConvertError("is quantised already; export it in float, the int8 is made here")


def _one_input(graph: Any) -> Any:
    weights = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(i.name for i in inputs) or "none"
        raise ConvertError(f"has {len(inputs)} inputs ({names}); one picture is what the agent feeds")
    if inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(inputs[0].type.tensor_type.elem_type).lower()
        raise ConvertError(f"takes {kind} pictures; export it in float32 (half=False)")
    return inputs[0]


def _fixed_size(given: Any, size: tuple[int, int] | None) -> tuple[int, int]:
    """(width, height) px of the input; `size` where the file leaves it open."""
    dims = [d.dim_value for d in given.type.tensor_type.shape.dim]
    shown = ", ".join(d.dim_param or str(d.dim_value or "?") for d in given.type.tensor_type.shape.dim)
    if len(dims) != 4 or dims[1] != 3:
        raise ConvertError(f"takes ({shown}); pictures of the form (1, 3, height, width) are wanted")
    if dims[0] > 1:
        raise ConvertError(f"takes {dims[0]} pictures at once ({shown}); export it for a batch of 1")
    if size is None and min(dims[2:]) <= 0:
        raise ConvertError(
            f"leaves its input's size open ({shown}); give --size WIDTHxHEIGHT, or export without dynamic axes"
        )
    if size is not None and min(dims[2:]) <= 0 and (size[0] % _COARSEST or size[1] % _COARSEST):
        raise ConvertError(f"--size {size[0]}x{size[1]}: a YOLO wants multiples of {_COARSEST}")
    fixed = (int(dims[3] or (size or (0, 0))[0]), int(dims[2] or (size or (0, 0))[1]))
    if size is not None and size != fixed:
        raise ConvertError(
            f"is made for {fixed[0]}x{fixed[1]}, --size says {size[0]}x{size[1]}; export it for that size"
        )
    if min(fixed) < 16 or fixed[0] * fixed[1] > _MOST_PIXELS:
        raise ConvertError(f"takes pictures of {fixed[0]}x{fixed[1]}; 16x16 to 4096x4096 is what is sensible")
    return fixed


def _fix(model: Any, given: Any, size: tuple[int, int]) -> None:
    """An open input's shape in numbers, and everything that is not of the picture worked out.

    Exporters leave sums over shapes in the graph; tools after us would take the shapes they lead to for open ones.
    """
    dims = given.type.tensor_type.shape.dim
    if any(d.dim_value <= 0 for d in dims):
        for dim, value in zip(dims, (1, 3, size[1], size[0]), strict=True):
            dim.dim_value = value
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    nodes, known = list(model.graph.node), {t.name for t in model.graph.initializer}
    outputs, settled = {o.name for o in model.graph.output}, []
    for node in nodes:
        if node.op_type in ("Shape", "Constant") or (node.input and all(i in known for i in node.input if i)):
            known |= set(node.output)
            settled.append(node)
    rest = [n for n in nodes if n not in settled or set(n.output) & outputs]
    read = {i for n in rest for i in n.input}
    wanted = [o for n in settled for o in n.output if o in read]
    answers = run(model, wanted, given.name, size)
    del model.graph.node[:]
    model.graph.node.extend(rest)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(answers[name], name) for name in wanted)


def session(model: Any) -> Any:
    """The model in onnxruntime, as it stands. Raises ConvertError."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own
        raise ConvertError(f"does not load in onnxruntime: {' '.join(str(error).split())[:200]}") from error


def run(model: Any, wanted: list[str], given: str, size: tuple[int, int]) -> dict[str, Array]:
    """Tensors of the graph, of a black picture. Raises ConvertError."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    own = {o.name for o in probe.graph.output}
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in own)
    loaded = session(probe)
    picture = np.zeros((1, 3, size[1], size[0]), np.float32)
    try:
        return dict(zip(wanted, loaded.run(wanted, {given: picture}), strict=True)) if wanted else {}
    except Exception as error:  # onnxruntime's own
        reason = " ".join(str(error).split())[:200]
        raise ConvertError(f"does not run at {size[0]}x{size[1]}: {reason}") from error
