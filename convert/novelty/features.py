"""The trunk of a MobileNetV2 that is int8 already, cut out of the model that it is part of: no download, no TensorFlow.

    image ─▶ … block 5 ─▶ … block 10 ─▶ (the rest, boxes and classes: left out)
               │ stride 8     │ stride 16
               ▼              ▼
            patches_5     patches_10

Weights and scales are the model's own, so this needs no calibration. A trunk of convolutions takes pictures of any
size: the shapes are worked out anew for the one that is wanted.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from agent.modelfile import Card, Input, Output
from convert import ConvertError
from convert.tflite import finalise, graph

BLOCKS = (5, 10)  # see tests/bench/anomalies_novelty.py for what others do
SIDE = 128  # px of the input
_STRIDED = ("CONV_2D", "DEPTHWISE_CONV_2D")
_SAME = ("ADD",)  # as large as what goes in


def cut(path: Path, side: int = SIDE, blocks: tuple[int, ...] = BLOCKS) -> tuple[bytes, Card]:
    """A flatbuffer that maps a picture to the answers of some blocks, and its card; same file, same bytes.

    Raises ConvertError: not a .tflite, not int8, or without such blocks.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConvertError(f"model {path}: {error.strerror}") from error
    try:
        known, model = graph.read(data), graph.unpack(data)
    except ConvertError as error:
        raise ConvertError(f"model {path}: {error}") from error
    image = next(iter(known.inputs.values()))
    if known.tensors[image].dtype != "int8" or len(known.tensors[image].shape) != 4:
        raise ConvertError(f"model {path}: is no feature model: its input is no int8 picture")
    ends = [_end(path, known, block) for block in blocks]
    _keep(model, ends)
    _resize(path, model, known, side)
    flatbuffer = graph.pack(model)
    now = graph.read(flatbuffer)
    strides = [side // now.tensors[i].shape[1] for i in now.outputs.values()]
    names = [f"patches_{block}" for block in blocks]
    tidied = finalise.tidy(flatbuffer, dict.fromkeys(now.inputs, "image"), dict(zip(now.outputs, names, strict=True)))
    shapes = [now.tensors[i].shape for i in now.outputs.values()]
    outputs = tuple(Output(n, "patches", s, stride) for n, s, stride in zip(names, shapes, strides, strict=True))
    scale, zero = known.tensors[image].scales[0], known.tensors[image].zero_points[0]
    limits = ((-128 - zero) * scale, (127 - zero) * scale)  # what the darkest and the brightest pixel stand for
    return tidied, Card("embed", "patches", (), Input((side, side), range=limits, resize="stretch"), outputs)


def _end(path: Path, known: graph.Graph, block: int) -> int:
    """The tensor that a block of MobileNetV2 answers with: the last that bears its name."""
    named = [i for o in known.operators for i in o.outputs if re.search(rf"expanded_conv_{block}/", _name(known, i))]
    if not named or known.tensors[named[-1]].dtype != "int8":
        raise ConvertError(f"model {path}: is no feature model: it has no block {block} of an int8 MobileNetV2")
    return named[-1]


def _name(known: graph.Graph, index: int) -> str:
    return known.tensors[index].name.split(";")[0]  # a fused tensor lists all that it was made of


def _keep(model: Any, ends: list[int]) -> None:
    """Only the operators that lead to these tensors."""
    subgraph, needed, kept = model.subgraphs[0], set(ends), []
    for operator in reversed(subgraph.operators):
        if any(int(i) in needed for i in operator.outputs):
            kept.append(operator)
            needed |= {int(i) for i in operator.inputs if i >= 0}
    subgraph.operators, subgraph.outputs, model.signatureDefs = kept[::-1], ends, None


def _resize(path: Path, model: Any, known: graph.Graph, side: int) -> None:
    """Work out the shapes for another size of the input; padding is SAME throughout: a stride divides, rounding up."""
    subgraph = model.subgraphs[0]
    tensors = subgraph.tensors
    tensors[subgraph.inputs[0]].shape = [1, side, side, 3]
    for operator in subgraph.operators:
        name, options = graph.operator_name(model.operatorCodes[operator.opcodeIndex]), operator.builtinOptions
        if name not in (*_STRIDED, *_SAME) or getattr(options, "padding", 0) != 0:
            raise ConvertError(f"model {path}: is no feature model: {name} is in its trunk")
        strides = (options.strideH, options.strideW) if name in _STRIDED else (1, 1)
        _, height, width, _ = tensors[operator.inputs[0]].shape
        channels = known.tensors[operator.outputs[0]].shape[3]
        wide = [1, -(-int(height) // strides[0]), -(-int(width) // strides[1]), channels]
        tensors[operator.outputs[0]].shape = wide
        tensors[operator.outputs[0]].shapeSignature = None
