"""ONNX graphs of a few kilobytes that end as YOLOs do, by the operators that their exporters write.

image (1, 3, 64, 96) -> conv s8 relu -> a 1x1 convolution for each part of the head -> the family's decoding
one stride more by conv s2: strides 8 and 16, grids 8 x 12 and 4 x 6
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = (96, 64)
STRIDES = (8, 16)
CLASSES = 5
BINS = 4
ANCHORS = {8: [[10.0, 13.0], [16.0, 30.0]], 16: [[33.0, 23.0], [30.0, 61.0]]}


class Builder:
    """Nodes and weights, one after the other; every method answers with the name of what it made."""

    def __init__(self, seed=0):
        self.nodes, self.weights, self.rng, self.count = [], [], np.random.default_rng(seed), 0

    def constant(self, value):
        self.count += 1
        self.weights.append(numpy_helper.from_array(np.asarray(value), f"c{self.count}"))
        return f"c{self.count}"

    def op(self, kind, *inputs, domain="", **attributes):
        self.count += 1
        name = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def conv(self, source, out, given, kernel=1, stride=1, relu=False):
        weights = self.rng.normal(0, 0.4, (out, given, kernel, kernel)).astype(np.float32)
        bias = self.rng.normal(0, 0.4, out).astype(np.float32)
        pad = (kernel - stride + 1) // 2 if kernel > 1 and stride < 8 else 0
        name = self.op(
            "Conv", source, self.constant(weights), self.constant(bias),
            kernel_shape=[kernel, kernel], strides=[stride, stride], pads=[pad] * 4,
        )  # fmt: skip
        return self.op("Relu", name) if relu else name

    def features(self):
        """{stride: tensor with 8 channels}"""
        fine = self.conv("image", 8, 3, kernel=8, stride=8, relu=True)
        return {8: fine, 16: self.conv(fine, 8, 8, kernel=3, stride=2, relu=True)}

    def reshaped(self, source, *shape):
        return self.op("Reshape", source, self.constant(np.array(shape, np.int64)))

    def model(self, outputs, *, inputs=("image",), shape=(1, 3, 64, 96), kind=TensorProto.FLOAT, metadata=()):
        graph = helper.make_graph(
            self.nodes, "tiny",
            [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.weights,
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, dict(metadata))
        return model


def cells(stride):
    height, width = SIZE[1] // stride, SIZE[0] // stride
    rows, columns = np.mgrid[:height, :width]
    return columns.ravel().astype(np.float32), rows.ravel().astype(np.float32)


def v8(extra=0, *, keypoints=0, classes=CLASSES, box_first=True):
    """Distances as distributions; `extra` coefficients with a picture of prototypes, or `keypoints`."""
    b = Builder()
    parts, pictures = {s: {} for s in STRIDES}, []
    features = b.features()
    roles = {"box": 4 * BINS, "logit": classes} if box_first else {"logit": classes, "box": 4 * BINS}
    roles |= {"extra": extra or 3 * keypoints} if extra or keypoints else {}
    for s, tensor in features.items():
        for role, channels in roles.items():
            parts[s][role] = b.reshaped(b.conv(tensor, channels, 8), 1, channels, -1)
    joined = {role: b.op("Concat", *(parts[s][role] for s in STRIDES), axis=2) for role in roles}
    bins = b.op("Transpose", b.reshaped(joined["box"], 1, 4, BINS, -1), perm=[0, 2, 1, 3])
    steps = b.constant(np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1))
    sums = b.op("Conv", b.op("Softmax", bins, axis=1), steps, kernel_shape=[1, 1])
    sides = b.reshaped(sums, 1, 4, -1)
    x, y = (np.concatenate([cells(s)[i] for s in STRIDES]) for i in (0, 1))
    stride = np.concatenate([np.full(cells(s)[0].size, s, np.float32) for s in STRIDES])
    centre = b.constant(np.stack([x, y])[None] + np.float32(0.5))
    low = b.op("Slice", sides, b.constant(np.array([0])), b.constant(np.array([2])), b.constant(np.array([1])))
    high = b.op("Slice", sides, b.constant(np.array([2])), b.constant(np.array([4])), b.constant(np.array([1])))
    low, high = b.op("Sub", centre, low), b.op("Add", centre, high)
    middle = b.op("Div", b.op("Add", low, high), b.constant(np.float32(2)))
    boxes = b.op("Concat", middle, b.op("Sub", high, low), axis=1)
    rows = [b.op("Mul", boxes, b.constant(stride)), b.op("Sigmoid", joined["logit"])]
    if keypoints:
        points = b.reshaped(joined["extra"], 1, keypoints, 3, -1)
        xy = b.op("Slice", points, b.constant(np.array([0])), b.constant(np.array([2])), b.constant(np.array([2])))
        seen = b.op("Slice", points, b.constant(np.array([2])), b.constant(np.array([3])), b.constant(np.array([2])))
        corner = b.constant(np.stack([x, y])[None, None])
        xy = b.op("Mul", b.op("Add", b.op("Mul", xy, b.constant(np.float32(2))), corner), b.constant(stride))
        rows.append(b.reshaped(b.op("Concat", xy, b.op("Sigmoid", seen), axis=2), 1, 3 * keypoints, -1))
    elif extra:
        rows.append(joined["extra"])
        pictures.append(b.op("Relu", b.conv(features[8], extra, 8)))
    out = b.op("Concat", *rows, axis=1)
    return b, [out, *pictures]


def v5(classes=CLASSES):
    """Anchors."""
    b, rows, columns = Builder(), [], 5 + classes
    for s, tensor in b.features().items():
        x, y = cells(s)
        grid = b.reshaped(b.conv(tensor, 2 * columns, 8), 1, 2, columns, -1)
        grid = b.op("Sigmoid", b.op("Transpose", grid, perm=[0, 1, 3, 2]))  # (1, A, h·w, columns)
        split = b.constant(np.array([2, 2, columns - 4], np.int64))
        names = [f"s{s}_{i}" for i in range(3)]
        b.nodes.append(helper.make_node("Split", [grid, split], names, axis=3))
        corner = b.constant(np.stack([x, y], 1)[None, None] - np.float32(0.5))
        xy = b.op(
            "Mul", b.op("Add", b.op("Mul", names[0], b.constant(np.float32(2))), corner), b.constant(np.float32(s))
        )
        double = b.op("Mul", names[1], b.constant(np.float32(2)))
        sides = b.constant(np.array(ANCHORS[s], np.float32)[None, :, None])
        wh = b.op("Mul", b.op("Mul", double, double), sides)
        rows.append(b.reshaped(b.op("Concat", xy, wh, names[2], axis=3), 1, -1, columns))
    return b, [b.op("Concat", *rows, axis=1)]


def yolox(classes=CLASSES):
    """No anchors, left undecoded as its own exporter does."""
    b, rows = Builder(), []
    for tensor in b.features().values():
        logit = b.op("Sigmoid", b.conv(tensor, classes, 8))
        box = b.conv(tensor, 4, 8)
        objectness = b.op("Sigmoid", b.conv(tensor, 1, 8))
        rows.append(b.reshaped(b.op("Concat", box, objectness, logit, axis=1), 1, 5 + classes, -1))
    return b, [b.op("Transpose", b.op("Concat", *rows, axis=2), perm=[0, 2, 1])]


def saved(path, built, **more):
    builder, outputs = built
    onnx.save(builder.model(outputs, **more), str(path))
    return path
