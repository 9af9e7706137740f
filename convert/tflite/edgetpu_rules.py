"""The operators that the Edge TPU takes, with their limits; the table of coral.ai/docs/edgetpu/models-intro.

An operator within its limits gives None; one that is not gives the reason, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ai_edge_litert import schema_py_generated as schema

from convert.tflite.graph import Graph, Operator, TensorInfo


class Why(NamedTuple):
    """Why an operator would not map; `certain` False: the compiler decides by sizes that only it knows."""

    reason: str
    cure: str
    certain: bool = True


# Operator -> the greatest version that the last compiler (16.0, 2021, TensorFlow 2.5's runtime) can know. Read in a
# report of it is only RESIZE_NEAREST_NEIGHBOR 3, refused (google-coral/edgetpu issues 152, 187, 420); the others are
# what op_version.cc of that TensorFlow knew, to the best of our memory, and no compiler was at hand to try them.
VERSIONS = {
    "ADD": 4, "AVERAGE_POOL_2D": 3, "CONCATENATION": 3, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6,
    "EXPAND_DIMS": 1, "FULLY_CONNECTED": 9, "L2_NORMALIZATION": 2, "LOGISTIC": 3, "LSTM": 4,
    "MAX_POOL_2D": 3, "MAXIMUM": 4, "MEAN": 3, "MINIMUM": 4, "MUL": 5, "PACK": 3,
    "PAD": 4, "PRELU": 1, "QUANTIZE": 2, "REDUCE_MAX": 3, "REDUCE_MIN": 3, "RELU": 3,
    "RELU6": 3, "RELU_N1_TO_1": 1, "RESHAPE": 1, "RESIZE_BILINEAR": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2, "RSQRT": 2, "SLICE": 5, "SOFTMAX": 3, "SPACE_TO_DEPTH": 2,
    "SPLIT": 4, "SQUARED_DIFFERENCE": 2, "SQUEEZE": 2, "STRIDED_SLICE": 4, "SUB": 5,
    "SUM": 2, "TANH": 3, "TRANSPOSE": 5, "TRANSPOSE_CONV": 3,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 3,
}  # fmt: skip
_CURES = {
    "DEQUANTIZE": "end the graph before it: the agent reads int8 outputs as they are",
    "HARD_SWISH": "train with ReLU6 in its place",
    "LEAKY_RELU": "train with ReLU, or PReLU with one number a channel",
    "GELU": "train with ReLU6 in its place",
    "TFLite_Detection_PostProcess": "none needed: it is made for the CPU, at the end of the graph",
    "ARG_MAX": "end the graph before it: the agent picks the class",
    "DEPTH_TO_SPACE": "use TRANSPOSE_CONV or RESIZE_NEAREST_NEIGHBOR",
    "BATCH_MATMUL": "attention does not map; choose a net without it",
}
_MOST_SOFTMAX = 16_000
_NONE = schema.ActivationFunctionType.NONE


def limit(given: Graph, operator: Operator) -> Why | None:
    """The operator's own limit that it breaks."""
    if operator.name not in VERSIONS:
        return Why("not an operator of the Edge TPU", _CURES.get(operator.name, "train or cut the net without it"))
    rule = _RULES.get(operator.name)
    return rule(given, operator) if rule else None


def _input(given: Graph, operator: Operator, place: int) -> TensorInfo | None:
    known = len(operator.inputs) > place and operator.inputs[place] >= 0
    return given.tensors[operator.inputs[place]] if known else None


def _long(shape: tuple[int, ...]) -> list[int]:
    """Axes longer than 1."""
    return [i for i, n in enumerate(shape) if n > 1]


def _activation(_: Graph, operator: Operator) -> Why | None:
    if operator.options.get("fusedActivationFunction", _NONE) != _NONE:
        return Why("has an activation fused into it", "let the activation be an operator of its own")
    return None


def _concatenation(given: Graph, operator: Operator) -> Why | None:
    if any(i >= 0 and given.tensors[i].constant for i in operator.inputs):
        return Why("joins a constant; that is taken only with one other tensor, and all zeros", "use PAD for zeros")
    return _activation(given, operator)


def _convolution(given: Graph, operator: Operator) -> Why | None:
    weights = _input(given, operator, 1)
    if weights is None or not weights.constant:
        return Why("its weights are not constant", "freeze the net before it is converted")
    dilation = [operator.options.get(f"dilation{axis}Factor", 1) for axis in "WH"]
    if dilation[0] != dilation[1]:
        return Why(f"dilation {dilation[0]} across and {dilation[1]} down; they must be the same", "train with one")
    return None


def _fully_connected(given: Graph, operator: Operator) -> Why | None:
    shape = given.tensors[operator.outputs[0]].shape
    if operator.options.get("weightsFormat", 0) != 0:
        return Why("its weights are in a shuffled format", "convert it anew with the default format")
    if len(_long(shape)) > 1:
        return Why(f"its output {list(shape)} has more than one axis", "use a 1x1 CONV_2D")
    return _convolution(given, operator)


def _reduction(given: Graph, operator: Operator) -> Why | None:
    source, axes = _input(given, operator, 0), _input(given, operator, 1)
    if source is None or axes is None or axes.values is None:
        return Why("the axes that it reduces are not constant", "freeze the net before it is converted")
    rank = len(source.shape)
    chosen = {a % rank for a in axes.values} if rank else set()
    if rank == 4 and 0 in chosen:
        return Why("reduces over the batch", "keep the batch of 1 out of the axes")
    if operator.name == "MEAN" and rank - 1 in chosen and source.shape[-1] % 4:
        return Why(f"means over {source.shape[-1]} channels, which is no multiple of 4", "widen the layer to one")
    return None


def _pad(given: Graph, operator: Operator) -> Why | None:
    paddings = _input(given, operator, 1)
    source = _input(given, operator, 0)
    if source is None or paddings is None or paddings.values is None:
        return Why("how much it pads is not constant", "freeze the net before it is converted")
    if len(source.shape) == 4 and any(paddings.values[:2]):
        return Why("pads the batch", "pad the picture's axes only")
    return None


def _pack(_: Graph, operator: Operator) -> Why | None:
    if operator.options.get("axis", 0) == 0 and len(operator.inputs) > 1:
        return Why("packs along the batch", "use CONCATENATION along another axis")
    return None


def _split(given: Graph, operator: Operator) -> Why | None:
    axis, source = _input(given, operator, 0), _input(given, operator, 1)
    if axis is None or source is None or not axis.values:
        return Why("the axis that it splits is not constant", "freeze the net before it is converted")
    if len(source.shape) == 4 and axis.values[0] % 4 == 0:
        return Why("splits the batch", "split another axis")
    return None


def _prelu(given: Graph, operator: Operator) -> Why | None:
    alpha = _input(given, operator, 1)
    if alpha is None or any(i < len(alpha.shape) - 1 for i in _long(alpha.shape)):
        return Why("its slopes differ from place to place", "train with one a channel (Keras: shared_axes=[1, 2])")
    return None


def _softmax(given: Graph, operator: Operator) -> Why | None:
    shape = given.tensors[operator.inputs[0]].shape
    if len(_long(shape)) > 1 or (shape and shape[-1] > _MOST_SOFTMAX):
        return Why(
            f"over {list(shape)}; taken is one axis of at most {_MOST_SOFTMAX:,}",
            "end the graph before it: the agent computes it on what survives",
        )
    return None


def _squeeze(given: Graph, operator: Operator) -> Why | None:
    before, after = (given.tensors[i].shape for i in (operator.inputs[0], operator.outputs[0]))
    if before[(_long(before) or [0])[0] :] != after[(_long(after) or [0])[0] :]:
        return Why(f"{list(before)} to {list(after)}: only leading ones can be dropped", "use RESHAPE")
    return None


def _strided_slice(given: Graph, operator: Operator) -> Why | None:
    strides = _input(given, operator, 3)
    if strides is None or strides.values is None or any(n != 1 for n in strides.values):
        shown = "not constant" if strides is None or strides.values is None else list(strides.values)
        return Why(f"strides {shown}; all must be 1", "fold it into the convolution after it: a wider one, stride 2")
    if operator.options.get("ellipsisMask", 0) or operator.options.get("newAxisMask", 0):
        return Why("has an ellipsis or a new axis", "write the slice out axis by axis")
    return None


def _resize(given: Graph, operator: Operator) -> Why | None:
    before, after = (list(given.tensors[i].shape[1:3]) for i in (operator.inputs[0], operator.outputs[0]))
    return Why(f"{before} to {after}: may be refused for its size", "compile to know", certain=False)


_Rule = Callable[[Graph, Operator], Why | None]
_RULES: dict[str, _Rule] = {
    "AVERAGE_POOL_2D": _activation, "MAX_POOL_2D": _activation, "CONCATENATION": _concatenation,
    "CONV_2D": _convolution, "DEPTHWISE_CONV_2D": _convolution, "TRANSPOSE_CONV": _convolution,
    "FULLY_CONNECTED": _fully_connected, "MEAN": _reduction, "SUM": _reduction, "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction, "PAD": _pad, "PACK": _pack, "SPLIT": _split, "PRELU": _prelu, "SOFTMAX": _softmax,
    "SQUEEZE": _squeeze, "STRIDED_SLICE": _strided_slice, "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
}  # fmt: skip
