"""A float SSD of a few kilobytes, built with the flatbuffer schema: what the converter's tests convert.

    image (1, 32, 48, 3) -> conv s2 relu6 -> depthwise s2 relu6 -> conv s2 relu6 -> box, logit: 1x1 convs, reshaped
    grid 6 x 4, three anchors a cell: box (1, 72, 4), logit (1, 72, 4)

The weights are random but fixed, and large enough for some anchors to be sure of something in any picture.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from agent.modelfile import Card, Input, Output
from convert.tflite import graph

SIZE = (48, 32)
ANCHORS = 6 * 4 * 3
LABELS = ("person", "car", "dog")
DECODE = {"anchors": {"grids": [[6, 4]]}, "columns": [1, 2, 3]}
CARD = Card(
    task="detect",
    head="ssd",
    labels=LABELS,
    input=Input(size=SIZE, range=(-1.0, 1.0), resize="stretch"),
    outputs=(Output("box", "box", (1, ANCHORS, 4)), Output("logit", "logit", (1, ANCHORS, 4))),
    decode=DECODE,
)


class Builder:
    """Tensors and operators, one after the other."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.name, self.graph.tensors, self.graph.operators = "main", [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name, shape, data=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = schema.TensorType.FLOAT32
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
            tensor.type = schema.TensorType.INT32 if data.dtype == np.int32 else schema.TensorType.FLOAT32
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, options=None):
        number = getattr(schema.BuiltinOperator, name)
        known = [c.builtinCode for c in self.model.operatorCodes]
        if number not in known:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
            self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = [c.builtinCode for c in self.model.operatorCodes].index(number)
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        self.graph.operators.append(operator)

    def conv(self, source, name, shape, weights, bias, *, stride=1, relu6=True, depthwise=False):
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.strideW = options.strideH = stride
        options.dilationWFactor = options.dilationHFactor = 1
        options.padding = schema.Padding.SAME
        activation = schema.ActivationFunctionType
        options.fusedActivationFunction = activation.RELU6 if relu6 else activation.NONE
        if depthwise:
            options.depthMultiplier = 1
        out = self.tensor(name, shape)
        constants = [self.tensor(f"{name}/{n}", a.shape, a) for n, a in (("weights", weights), ("bias", bias))]
        self.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [source, *constants], [out], options)
        return out

    def reshape(self, source, name, shape):
        out = self.tensor(name, shape)
        wanted = self.tensor(f"{name}/shape", (len(shape),), np.array(shape, np.int32))
        self.operator("RESHAPE", [source, wanted], [out])
        return out


def flatbuffer(*, seed=0, unused=False):
    """The bytes of the model, with names as TensorFlow leaves them: Identity, Identity_1."""
    rng, build = np.random.default_rng(seed), Builder()

    def random(*shape, size):
        return rng.normal(0, size, shape).astype(np.float32)

    image = build.tensor("serving_default_image:0", (1, 32, 48, 3))
    if unused:
        build.tensor("left over", (7,), np.zeros(7, np.float32))
    x = build.conv(image, "conv1", (1, 16, 24, 8), random(8, 3, 3, 3, size=0.5), random(8, size=0.1), stride=2)
    x = build.conv(
        x, "conv2", (1, 8, 12, 8), random(1, 3, 3, 8, size=0.5), random(8, size=0.1), stride=2, depthwise=True
    )
    x = build.conv(x, "conv3", (1, 4, 6, 16), random(16, 3, 3, 8, size=0.3), random(16, size=0.1), stride=2)
    box = build.conv(x, "box/conv", (1, 4, 6, 12), random(12, 1, 1, 16, size=0.5), random(12, size=0.1), relu6=False)
    logit = build.conv(x, "logit/conv", (1, 4, 6, 12), random(12, 1, 1, 16, size=0.7), random(12, size=1), relu6=False)
    outputs = [
        build.reshape(box, "Identity", (1, ANCHORS, 4)),
        build.reshape(logit, "Identity_1", (1, ANCHORS, 4)),
    ]
    build.graph.inputs, build.graph.outputs = [image], outputs
    return graph.pack(build.model)


INPUTS = {"serving_default_image:0": "image"}
OUTPUTS = {"Identity": "box", "Identity_1": "logit"}
SAME = {"box": "box", "logit": "logit"}
