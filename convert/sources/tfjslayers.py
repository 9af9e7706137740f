"""TensorFlow.js layers models, as Teachable Machine exports them -> Keras, layer by layer.

    model.json     modelTopology{class_name, config}    Keras 2's words: Sequential and Model, one inside the other
                   weightsManifest[]                    as in a graph model, named layer/kernel
    weights.bin

Keras 3 reads such a config no longer, so each layer is made anew from its own part of it, called on what its
inbound_nodes name, and given its weights. `read` runs here, `model` where TensorFlow is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from agent.data import Array
from convert import ConvertError
from convert.process import sandbox
from convert.sources import FloatModel, Request, keras, kerasconfig, tfjs

_OF_TRAINING = ("_initializer", "_regularizer", "_constraint")  # ends of keys that inference does without
_SHAPE = "batch_input_shape"
_ELSE = (
    "a TensorFlow.js export of layers; in Teachable Machine choose Export Model, TensorFlow Lite, Floating point, and"
    " give that ZIP"
)
CONFIG, WEIGHTS = "layers.json", "layers.npz"  # the child's own form


def float_model(request: Request) -> FloatModel:
    """The model of a model.json, or of its folder. Raises ConvertError."""
    folder = request.path if request.path.is_dir() else request.path.parent
    name = "model.json" if request.path.is_dir() else request.path.name

    def file(shard: str) -> bytes:
        return (folder / PurePosixPath(shard).name).read_bytes()

    return of_files(request, file, name)


def of_files(request: Request, file: Callable[[str], bytes], name: str = "model.json") -> FloatModel:
    """The same of a file of any name and its shards, whose bytes `file` gives. Raises ConvertError."""
    with sandbox.scratch("tfjslayers") as work:
        try:
            parsed = json.loads(file(name))
        except ValueError as error:
            raise ConvertError(f"model {request.path}: its {name} is broken; export it again") from error
        try:
            read(parsed, file, work)
        except ConvertError as error:
            raise ConvertError(f"model {request.path}: {error}") from error
        (work / "file").write_text(str(work / CONFIG), "utf-8")
        return keras.converted(request, work)


def read(parsed: dict[str, Any], file: Callable[[str], bytes], work: Path) -> None:
    """Leave config and weights in a folder. Raises ConvertError."""
    topology = parsed.get("modelTopology")
    if not isinstance(topology, dict):
        raise ConvertError(_ELSE)
    try:
        config = topology.get("model_config", topology)
        kerasconfig.check(config)
        _shape(config)
        weights: dict[str, Array] = {}
        for group in parsed["weightsManifest"]:
            weights |= tfjs.read_weights(group["weights"], b"".join(file(path) for path in group["paths"]))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ConvertError(f"its model.json and shards do not fit each other ({error!r}); export it again") from error
    np.savez(work / WEIGHTS, *weights.values())  # by place: a name may hold any character
    (work / CONFIG).write_text(json.dumps({"config": config, "weights": list(weights)}), "utf-8")


def model(tf_keras: Any, path: Path) -> Any:
    """The Keras model of a folder that `read` has filled; `path` is its config. Raises ConvertError."""
    told = json.loads(path.read_text("utf-8"))
    with np.load(path.with_name(WEIGHTS)) as arrays:
        weights = dict(zip(told["weights"], (arrays[f"arr_{i}"] for i in range(len(told["weights"]))), strict=True))
    image = tf_keras.Input(batch_shape=_shape(told["config"]))
    try:
        answer = _called(tf_keras, told["config"], [image], weights)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise ConvertError(f"Keras {tf_keras.__version__} cannot build its layers: {said}") from error
    return tf_keras.Model(image, answer)


def _shape(entry: dict[str, Any]) -> list[int | None]:
    """The input's, from the first layer that has it. Raises ConvertError."""
    inside = entry["config"]
    if _SHAPE in inside:
        return list(inside[_SHAPE])
    if not inside.get("layers"):
        raise ConvertError("does not tell the shape of its input; give the Keras file that it was made from")
    return _shape(inside["layers"][0])


def _called(tf_keras: Any, entry: dict[str, Any], inputs: list[Any], weights: dict[str, Array]) -> Any:
    """What a layer, or a model of layers, makes of its inputs."""
    kind, config = entry["class_name"], entry["config"]
    if kind == "Sequential":
        for layer in config["layers"]:
            inputs = [_called(tf_keras, layer, inputs, weights)]
        return inputs[0]
    if "layers" in config:
        values: dict[str, Any] = {}
        for layer in config["layers"]:
            nodes = layer["inbound_nodes"]
            given = [values[node[0]] for node in nodes[0]] if nodes else inputs
            values[layer["name"]] = _called(tf_keras, layer, given, weights)
        return values[config["output_layers"][0][0]]
    if kind == "InputLayer":
        return inputs[0]
    known = {k: v for k, v in config.items() if not k.endswith(_OF_TRAINING) and k not in (_SHAPE, "dtype")}
    layer = getattr(tf_keras.layers, kind).from_config(known)
    answer = layer(inputs if len(inputs) > 1 else inputs[0])
    for variable in layer.weights:
        own = f"{config['name']}/{variable.name}"
        variable.assign(weights[own if own in weights else f"{config['name']}/depthwise_{variable.name}"])
    return answer
