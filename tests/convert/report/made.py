"""Evidence of small models on drawn pictures."""

from dataclasses import replace

import cv2
import msgspec
import numpy as np

from agent.data import Detections
from agent.detect.model import Model
from agent.modelfile import Card, Input, Output, Quant, pack
from convert.accuracy import compare
from convert.accuracy.evidence import Evidence
from convert.int8 import quantize
from convert.tflite import finalise, graph
from tests.convert import tiny

CLASSIFIER = Card(
    task="classify",
    head="classify",
    labels=("cat", "dog"),
    input=Input(size=(48, 32), range=(-1.0, 1.0), resize="stretch"),
    outputs=(Output("logit", "logit", (1, 2)),),
)
SEGMENTER = Card(
    task="segment",
    head="segment",
    labels=("sky", "road", "tree"),
    input=Input(size=(48, 32), range=(-1.0, 1.0), resize="stretch"),
    outputs=(Output("logit", "logit", (1, 8, 12, 3)),),
)


def pictures(folder, many=8, names=None):
    rng, paths = np.random.default_rng(3), []
    for i in range(many):
        coarse = rng.integers(0, 256, (6, 8, 3), np.uint8)
        path = folder / (names[i] if names else f"picture{i}.png")
        cv2.imwrite(str(path), cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC))
        paths.append(path)
    return tuple(paths)


def detector():
    return finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)


def classifier():
    """conv s2, mean of the grid, two numbers."""
    rng, build = np.random.default_rng(1), tiny.Builder()
    image = build.tensor("image", (1, 32, 48, 3))
    weights = rng.normal(0, 0.5, (8, 3, 3, 3)).astype(np.float32)
    x = build.conv(image, "conv", (1, 16, 24, 8), weights, np.zeros(8, np.float32), stride=2)
    flat = build.reshape(x, "flat", (1, 16 * 24 * 8))
    out = build.tensor("logit", (1, 2))
    dense = rng.normal(0, 0.05, (2, 16 * 24 * 8)).astype(np.float32)
    constants = [build.tensor("dense", dense.shape, dense), build.tensor("bias", (2,), np.zeros(2, np.float32))]
    options = tiny.schema.FullyConnectedOptionsT()
    build.operator("FULLY_CONNECTED", [flat, *constants], [out], options)
    build.graph.inputs, build.graph.outputs = [image], [out]
    return graph.pack(build.model)


def segmenter():
    rng, build = np.random.default_rng(2), tiny.Builder()
    image = build.tensor("image", (1, 32, 48, 3))
    weights = rng.normal(0, 0.5, (3, 5, 5, 3)).astype(np.float32)
    out = build.conv(image, "logit", (1, 8, 12, 3), weights, np.zeros(3, np.float32), stride=4, relu6=False)
    build.graph.inputs, build.graph.outputs = [image], [out]
    return graph.pack(build.model)


def evidence(folder, reference, card, *, reach=4.0, names=None, truth=None, groups=None, labels=None):
    """`reach` is how far the ranges go: a narrow one makes a bad int8 model."""
    if labels:
        card = msgspec.structs.replace(card, labels=labels)
    ranges = dict.fromkeys(graph.read(reference).activations(), (-reach, reach)) | {"image": (-1.0, 1.0)}
    model = finalise.tidy(
        quantize.static_int8(reference, ranges), {"image": "image"}, {o.name: o.name for o in card.outputs}
    )
    paths = pictures(folder, names=names)
    recordings = []
    for name, data, scheme in (("float", reference, "float32"), ("int8", model, "int8")):
        path = folder / f"{name}.tflite"
        path.write_bytes(pack(data, msgspec.structs.replace(card, quant=Quant(scheme=scheme)))[0])
        recordings.append(compare.record(Model(path), paths))
    report = {"accuracy": {}}
    made = Evidence("a <model> & more", card, report, reference, model, paths, *recordings, None, groups or {})
    return replace(made, truth=truth(made)) if truth else made


def boxes_of_float(made):
    """What float is sure of, as the truth."""
    found = compare.detections(made.reference, 0.6, iou=0.5)
    return [Detections(d.xyxy[:5], np.ones(len(d[:5]), np.float32), d.class_id[:5]) for d in found]
