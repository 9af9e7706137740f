"""Small models for second looks: by colour, made here, and an embedder cut out of the shipped detector."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from agent import config, modelfile
from agent.modelfile import Card, Input, Output
from convert.novelty import features
from convert.tflite import graph
from tests.convert.tiny import Builder

COLOURS = ("red", "green", "blue")
_SIDE = 16


def painter(colour: str, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    """(H, W, 3) uint8 RGB of one colour with a little texture; `size` (width, height)."""
    picture = np.random.default_rng(1).integers(0, 60, (size[1], size[0], 3)).astype(np.uint8)
    if colour in COLOURS:
        picture[:, :, COLOURS.index(colour)] += 180
    return picture


def classifier(path: Path) -> Path:
    """Says which of three colours a picture is: the mean of each channel, sharpened."""
    build = Builder()
    image = build.tensor("image", (1, _SIDE, _SIDE, 3))
    weights = np.zeros((3, _SIDE, _SIDE, 3), np.float32)
    for colour in range(3):
        weights[colour, :, :, colour] = 6.0 / _SIDE**2
    out = build.conv(image, "logit", (1, 1, 1, 3), weights, np.zeros(3, np.float32), stride=_SIDE, relu6=False)
    card = Card("classify", "classify", COLOURS, *_ends("logit", "logit", (1, 1, 1, 3)))
    return _written(path, build, image, out, card)


def segmenter(path: Path) -> Path:
    """Parts what is redder than a half from the ground, cell by cell."""
    build = Builder()
    image = build.tensor("image", (1, _SIDE, _SIDE, 3))
    weights = np.zeros((2, 1, 1, 3), np.float32)
    weights[1, 0, 0, 0] = 1.0
    bias = np.array([0.5, 0.0], np.float32)
    out = build.conv(image, "logit", (1, _SIDE, _SIDE, 2), weights, bias, relu6=False)
    card = Card("segment", "segment", ("ground", "rust"), *_ends("logit", "logit", (1, _SIDE, _SIDE, 2)))
    return _written(path, build, image, out, card)


def embedder(path: Path, side: int = 64, decode: dict[str, Any] | None = None) -> Path:
    """The shipped detector's trunk up to block 10, and the mean over its cells: int8 throughout."""
    flatbuffer, card = features.cut(config.shipped(config.DEFAULT_MODEL), side, (10,))
    model = graph.unpack(flatbuffer)
    main = model.subgraphs[0]
    last = main.tensors[main.outputs[0]]
    size = int(last.shape[3])
    axes, mean = schema.TensorT(), schema.TensorT()
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    model.buffers.append(buffer)
    axes.name, axes.shape, axes.type, axes.buffer = "axes", [2], schema.TensorType.INT32, len(model.buffers) - 1
    mean.name, mean.shape, mean.type, mean.quantization = "vector", [1, size], last.type, last.quantization
    main.tensors += [axes, mean]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    code.version = 2
    model.operatorCodes.append(code)
    reduce = schema.OperatorT()
    reduce.opcodeIndex, reduce.inputs = len(model.operatorCodes) - 1, [main.outputs[0], len(main.tensors) - 2]
    reduce.outputs = [len(main.tensors) - 1]
    reduce.builtinOptions, reduce.builtinOptionsType = schema.ReducerOptionsT(), schema.BuiltinOptions.ReducerOptions
    main.operators.append(reduce)
    main.outputs, model.signatureDefs = reduce.outputs, None
    outputs = (Output("vector", "vector", (1, size)),)
    card = Card("embed", "embed", (), card.input, outputs, decode=decode or {})
    path.write_bytes(modelfile.pack(graph.pack(model), card)[0])
    return path


def _ends(name: str, role: str, shape: tuple[int, ...]) -> tuple[Input, tuple[Output, ...]]:
    return Input((_SIDE, _SIDE), range=(0.0, 1.0), resize="stretch"), (Output(name, role, shape),)


def _written(path: Path, build: Builder, image: int, out: int, card: Card) -> Path:
    build.graph.inputs, build.graph.outputs = [image], [out]
    path.write_bytes(modelfile.pack(graph.pack(build.model), card)[0])
    return path
