"""Focus folded: YOLOX and early YOLOv5 begin by dealing every other pixel out to channels, then convolve.

    picture (1, 3, H, W) -> slices with steps of 2 -> concatenated (1, 12, H/2, W/2) -> conv k x k
                         =  one conv 2k x 2k with steps of 2 on the picture itself

The same sums of the same products, but slices with steps take most of an int8 model's time (12 of 19 ms of YOLOX-nano,
in plain loops of the interpreter), and an Edge TPU takes none of them, nor anything after. For a child's eyes only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from agent.data import Array
from convert.sources import onnxgraph

_DEALT = ("Slice", "Concat", "Constant")
_ALIKE = 1e-3  # greatest difference between the answers, of their spread


def folded(model: Any, given: str, size: tuple[int, int]) -> Any:
    """The model with one convolution in place of its Focus; as it was where it has none, or would answer otherwise."""
    dealt = _dealt(model, given)
    if dealt is None:
        return model
    concat, conv = dealt
    channels = _places(model, concat.output[0], given, size)
    if channels is None:
        return model
    made = onnx.ModelProto()
    made.CopyFrom(model)
    _replace(made, conv, given, channels)
    picture = np.random.default_rng(0).uniform(0, 1, (1, 3, size[1], size[0])).astype(np.float32)
    before, after = (onnxgraph.session(m).run(None, {given: picture}) for m in (model, made))
    apart = max(float(np.abs(a - b).max() / (np.std(a) + 1e-6)) for a, b in zip(before, after, strict=True))
    return made if apart < _ALIKE else model


def _dealt(model: Any, given: str) -> tuple[Any, Any] | None:
    """The concatenation of nothing but slices of the input, and the only convolution that reads it."""
    producer = {name: node for node in model.graph.node for name in node.output}
    weights = {w.name for w in model.graph.initializer}

    def only_slices(name: str) -> bool:
        node = producer.get(name)
        if node is None:
            return name == given or name in weights or name == ""
        return node.op_type in _DEALT and all(map(only_slices, node.input))

    for conv in (n for n in model.graph.node if n.op_type == "Conv" and n.input[1] in weights):
        concat = producer.get(conv.input[0])
        if concat is not None and concat.op_type == "Concat" and only_slices(concat.output[0]):
            readers = [n for n in model.graph.node if concat.output[0] in n.input]
            own = {a.name: onnx.helper.get_attribute_value(a) for a in conv.attribute}
            plain = own.get("group", 1) == 1 and set(own.get("dilations", [1])) == {1}
            outside = concat.output[0] in {o.name for o in model.graph.output}
            if len(readers) == 1 and plain and "pads" in own and not outside:
                return concat, conv
    return None


def _places(model: Any, dealt: str, given: str, size: tuple[int, int]) -> list[tuple[int, int, int]] | None:
    """Of each dealt channel: the picture's channel, and the row and column (0 or 1) that it begins at; None: others."""
    width, height = size
    numbers = np.arange(3 * height * width, dtype=np.float32).reshape(1, 3, height, width)  # exact below 2^24
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.append(onnx.ValueInfoProto(name=dealt))
    found = onnxgraph.session(probe).run([dealt], {given: numbers})[0]
    if numbers.size >= 1 << 24 or found.shape != (1, 12, height // 2, width // 2):
        return None
    places = []
    for channel in found[0]:
        c, rest = divmod(int(channel[0, 0]), height * width)
        y, x = divmod(rest, width)
        if y > 1 or x > 1 or not np.array_equal(channel, numbers[0, c, y::2, x::2]):
            return None
        places.append((c, y, x))
    return places


def _replace(model: Any, conv: Any, given: str, places: list[tuple[int, int, int]]) -> None:
    """The convolution, on the picture; what dealt the pixels out goes."""
    node = next(n for n in model.graph.node if n.output[0] == conv.output[0])
    weights = next(w for w in model.graph.initializer if w.name == node.input[1])
    wide = _widened(numpy_helper.to_array(weights), places)
    name = f"{weights.name}_on_pixels"
    model.graph.initializer.append(numpy_helper.from_array(wide, name))
    node.input[0], node.input[1] = given, name
    own = {a.name: a for a in node.attribute}
    for key in ("kernel_shape", "pads"):
        if key in own:
            own[key].ints[:] = [2 * v for v in own[key].ints]
    steps = [2 * v for v in own["strides"].ints] if "strides" in own else [2, 2]
    if "strides" in own:
        node.attribute.remove(own["strides"])
    node.attribute.append(onnx.helper.make_attribute("strides", steps))
    _drop_unread(model)


def _widened(weights: Array, places: list[tuple[int, int, int]]) -> Array:
    """(O, 12, k, k) on dealt channels -> (O, 3, 2k, 2k) on pixels."""
    out, _, rows, columns = weights.shape
    wide = np.zeros((out, 3, 2 * rows, 2 * columns), weights.dtype)
    for channel, (c, y, x) in enumerate(places):
        wide[:, c, y::2, x::2] += weights[:, channel]
    return wide


def _drop_unread(model: Any) -> None:
    """Nodes and weights that nothing reads any more."""
    while True:
        read = {name for node in model.graph.node for name in node.input} | {o.name for o in model.graph.output}
        idle = [node for node in model.graph.node if not set(node.output) & read]
        if not idle:
            break
        for node in idle:
            model.graph.node.remove(node)
    for weights in [w for w in model.graph.initializer if w.name not in read]:
        model.graph.initializer.remove(weights)
    del model.graph.value_info[:]
