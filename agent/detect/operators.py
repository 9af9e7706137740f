"""What TFLite's operators take: the least number of inputs, their kind of options, and which of those may not be zero.

Numbers are those of schema.fbs (BuiltinOperator, BuiltinOptions). Kernels trust most of this: SPLIT without its
options, a stride of 0, a filter without channels or a quantised DEPTHWISE_CONV_2D without its bias end the process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agent.detect.flatbuffer import Reader
from agent.detect.schema import Operator, OperatorCode, Tensor

OPTIONAL = -1  # an input that is not there
CUSTOM = 32
_LAST, _DILATE = 161, 203  # those between and after are StableHLO's, for compilers
_KNOWN_CUSTOM = {b"TFLite_Detection_PostProcess", b"edgetpu-custom-op"}
_CONV, _DEPTHWISE, _RESHAPE, _TRANSPOSE_CONV = 3, 4, 22, 67
_INT32, _WHOLE = 2, {3, 7, 9}  # types of tensors; uint8, int16, int8
_OPTIONS = {  # operator -> type of its options, where those hold more than their type
    0: 11, 1: 5, 2: 10, 3: 1, 4: 2, 5: 94, 9: 8, 11: 12, 12: 5, 13: 13, 15: 4, 16: 14, 17: 5, 18: 21, 22: 17, 23: 15,
    24: 7, 25: 9, 26: 19, 27: 6, 29: 3, 30: 18, 31: 16, 33: 20, 35: 31, 36: 23, 40: 27, 41: 28, 42: 29, 43: 30,
    44: 71, 45: 32, 46: 70, 49: 35, 52: 69, 53: 37, 56: 40, 67: 49, 68: 50, 74: 27, 77: 55, 79: 57, 80: 58, 81: 27,
    82: 27, 83: 59, 85: 61, 88: 64, 89: 27, 91: 27, 97: 74, 98: 75, 100: 77, 102: 79, 103: 80, 112: 87, 118: 92,
    119: 93, 126: 101, 128: 102, 129: 103, 132: 106, 136: 107, 140: 27, 141: 106, 142: 111, 147: 115, 150: 116,
}  # fmt: skip
_BARE = {22, 43, 53, 56, 77, 79, 150}  # RESHAPE, SQUEEZE, CAST, ARG_MAX, SHAPE, ARG_MIN, GELU: do without, in old files
_LEAST = {  # inputs that must be there
    **dict.fromkeys(
        (1, 2, 5, 6, 11, 12, 13, 14, 17, 19, 20, 21, 22, 25, 26, 28, 43, 47, 50, 53, 59, 66, 73, 75, 76), 1
    ),
    **dict.fromkeys((77, 83, 87, 88, 92, 93, 98, 101, 104, 108, 110, 111, 114, 116, 117, 150, 152, 158), 1),
    **dict.fromkeys((0, 3, 4, 9, 18, 23, 34, 36, 39, 40, 41, 42, 48, 49, 54, 55, 56, 57, 58, 61, 62, 63), 2),
    **dict.fromkeys(
        (69, 70, 71, 72, 74, 78, 79, 81, 82, 84, 86, 89, 90, 91, 94, 95, 97, 99, 100, 105, 107, 126, 130), 2
    ),
    **dict.fromkeys((37, 38, 60, 64, 65, 67, 102, 123, 151), 3),
    **dict.fromkeys((45, 85), 4),
}
_ONE_OR_MORE = {  # options type -> slots of strides, window sizes, blocks, parts
    1: (1, 2), 2: (1, 2), 5: (1, 2, 3, 4), 19: (0,), 35: (0,), 49: (1, 2), 59: (0,), 64: (0,), 79: (0,), 94: (0,),
    106: (1, 2, 3),
}  # fmt: skip
_DILATIONS = {1: (4, 5), 2: (5, 6), 106: (5, 6, 7)}  # 1 where not given
_SUBGRAPHS = {16: (0,), 92: (0, 1), 93: (0, 1), 103: (0,)}  # CALL, IF, WHILE, CALL_ONCE: who is called
_VECTORS = {3: {1: 4, 2: 4}, 8: {5: 1}, 17: {0: 4}, 30: {0: 4}, 111: {0: 1, 1: 1}, 114: {0: 4}}  # slots, and widths


def number(code: OperatorCode) -> int:
    """Of an operator's kind, in new files and old ones."""
    return max(code.code, code.narrow)


def unknown(code: OperatorCode) -> str:
    """Why no runtime here runs it; "" for one that some do."""
    if number(code) == CUSTOM and code.custom not in _KNOWN_CUSTOM:
        return f"its operator {code.custom.decode(errors='replace')[:60]!r} is of somebody's own making"
    if not 0 <= number(code) <= _LAST and number(code) != _DILATE:
        return f"its operator {number(code)} is not known to TFLite runtimes"
    return ""


def inputs_fault(operator: Operator, code: OperatorCode, tensors: Sequence[Tensor]) -> str:
    """What its inputs, whose indices are good, are not; "" for nothing."""
    kind, inputs = number(code), operator.inputs
    least = _LEAST.get(kind, 0)
    if kind == _DEPTHWISE and inputs and inputs[0] >= 0 and tensors[inputs[0]].type in _WHOLE:
        least = 3
    if len(inputs) < least or OPTIONAL in inputs[:least]:
        return f"lacks inputs: it has {list(inputs[:9])}, at least {least} are needed"
    if kind == CUSTOM and code.custom in _KNOWN_CUSTOM and not (operator.custom or operator.large_size):
        return "has no options"
    if kind == _RESHAPE and len(inputs) > 1 and inputs[1] >= 0 and tensors[inputs[1]].type != _INT32:
        return f"takes its shape from tensor {inputs[1]}, which holds no int32"
    shapes = [list(tensors[i].shape) for i in inputs if i >= 0]
    if kind in (_CONV, _DEPTHWISE, _TRANSPOSE_CONV) and not all(math.prod(shape) for shape in shapes):
        return f"has inputs of the shapes {shapes}"
    return ""


def options_fault(operator: Operator, code: OperatorCode, reader: Reader, own: int, subgraphs: int) -> str:
    """What its options are not; `own` is its subgraph's number. Raises Unsound for vectors that leave the file."""
    kind, options = operator.options_type, operator.options
    expected = _OPTIONS.get(number(code))
    if expected and kind != expected and not (number(code) in _BARE and not kind):
        return f"has options of type {kind}, {expected} is what it takes"
    if kind and options is None:
        return f"has no options of the type {kind} that it names"
    least = [reader.option(options, slot) for slot in _ONE_OR_MORE.get(kind, ())]
    least += [reader.option(options, slot, 1) for slot in _DILATIONS.get(kind, ())]
    if any(number < 1 for number in least):
        return f"has a stride, window, block or share of {min(least)}"
    called = [reader.option(options, slot) for slot in _SUBGRAPHS.get(kind, ())]
    if not all(own < number < subgraphs for number in called):
        return f"runs the subgraphs {called}, which are not after its own among {subgraphs}"
    for slot, width in _VECTORS.get(kind, {}).items():
        reader.vector(options, slot, width)
    return ""
