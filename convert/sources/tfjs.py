"""TensorFlow.js graph models -> float TFLite.

A TF.js graph model is a GraphDef written as JSON, and its constants in files ("shards") of raw little-endian bytes:

    model.json   modelTopology.node[]   name, op, input[], attr{}
                 weightsManifest[]      paths[] of the shards, weights[] in their order: name, shape, dtype,
                                        quantization{dtype, scale, min} where they were made smaller

The graph is read and cut in plain Python; only the last step, GraphDef -> TFLite, needs TensorFlow. It runs in a
child process (`python -m convert.sources.tfjs FOLDER`), which finds its job in that folder and leaves its result there.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np

from agent.data import Array
from convert import ConvertError, graphdef
from convert.graphdef import Node
from convert.sources import FloatModel

_DTYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32, "uint8": np.uint8, "uint16": np.uint16}
_INT64 = 9  # DT_INT64: TF.js stores these as int32
_CHILD_ENV = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0"}


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys of [source]."""

    model: str  # model.json inside the archive
    input: str  # the node whose output becomes the model's input (1, height, width, 3)
    outputs: dict[str, str]  # contract name -> node
    constants: dict[str, str] = {}  # what to hand on -> node of a constant


def read(options: Options, archive: Path, size: tuple[int, int]) -> FloatModel:
    """The cut graph as float TFLite. Raises ConvertError: no TensorFlow, or a graph without the named nodes."""
    if importlib.util.find_spec("tensorflow") is None:
        raise ConvertError("TF.js models need TensorFlow to convert; pip install 'lookout-agent[convert]'")
    graph, weights = load(archive, options.model)
    for what, name in options.constants.items():
        if name not in weights:
            raise ConvertError(f"{archive.name}: no constant {name!r} in its graph, wanted as {what}")
    outputs = list(options.outputs.values())
    nodes = graphdef.regroup(graphdef.expand(graphdef.cut(graph, options.input, outputs)), outputs)
    job = {"nodes": nodes, "input": options.input, "shape": [1, size[1], size[0], 3], "outputs": options.outputs}
    needed = {n["name"]: weights[n["name"]] for n in nodes if n["op"] == "Const" and n["name"] in weights}
    model, version = _in_child(job, needed, archive)
    constants = {what: weights[name] for what, name in options.constants.items()}
    return FloatModel(model, constants, {"tensorflow": version})


def load(archive: Path, model: str) -> tuple[list[Node], dict[str, Array]]:
    """Nodes and constants of a graph model in a folder or a tar archive."""
    description = _file(archive, model)
    try:
        parsed = json.loads(description)
        nodes: list[Node] = parsed["modelTopology"]["node"]
        weights: dict[str, Array] = {}
        for group in parsed["weightsManifest"]:
            paths = [str(PurePosixPath(model).parent / path) for path in group["paths"]]
            weights |= read_weights(group["weights"], b"".join(_file(archive, path) for path in paths))
    except (KeyError, TypeError, ValueError) as error:
        raise ConvertError(f"{archive.name}: {model} is not a TF.js graph model ({error!r})") from error
    return nodes, weights


def read_weights(manifest: list[dict[str, Any]], data: bytes) -> dict[str, Array]:
    """One group of the manifest: arrays by name, dequantised. Raises ValueError for bytes too few or unknown types."""
    weights: dict[str, Array] = {}
    offset = 0
    for entry in manifest:
        quantization = entry.get("quantization") or {}
        dtype = entry["dtype"]
        stored = quantization.get("dtype", dtype)
        stored = "uint8" if stored == "bool" else stored
        if stored not in _DTYPES or dtype not in (*_DTYPES, "bool"):
            raise ValueError(f"weight {entry['name']} is {dtype} stored as {stored}")
        count = int(np.prod(entry["shape"], dtype=np.int64))
        array: Array = np.frombuffer(data, np.dtype(_DTYPES[stored]).newbyteorder("<"), count, offset)
        offset += array.nbytes
        if "scale" in quantization:
            array = array.astype(np.float32) * np.float32(quantization["scale"]) + np.float32(quantization["min"])
        weights[entry["name"]] = array.astype(_DTYPES.get(dtype, np.bool_)).reshape(entry["shape"])
    return weights


def _in_child(job: dict[str, Any], weights: Mapping[str, Array], archive: Path) -> tuple[bytes, str]:
    """Run `_convert` in a process of its own: (float TFLite, TensorFlow's version)."""
    with tempfile.TemporaryDirectory(prefix="lookout-tfjs-") as folder:
        work = Path(folder)
        (work / "job.json").write_text(json.dumps(job | {"weights": list(weights)}))
        np.savez(work / "weights.npz", *weights.values())  # by place: a node's name may hold any character
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        env = os.environ | _CHILD_ENV | {"PYTHONPATH": os.pathsep.join(p for p in paths if p)}
        command = [sys.executable, "-m", "convert.sources.tfjs", folder]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603
        result = work / "float.tflite"
        if done.returncode or not result.exists():
            lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
            raise ConvertError(f"{archive.name}: TensorFlow could not convert it: {lines[-1][:300]}")
        return result.read_bytes(), (work / "version").read_text()


def _convert(work: Path) -> None:
    """The child's part: nodes and constants -> float TFLite with the contract's names in its signature."""
    import tensorflow as tf  # noqa: PLC0415  only ever here, in a process of its own
    from google.protobuf import json_format  # noqa: PLC0415

    job = json.loads((work / "job.json").read_text())
    with np.load(work / "weights.npz") as arrays:
        weights = dict(zip(job["weights"], (arrays[f"arr_{i}"] for i in range(len(job["weights"]))), strict=True))
    graph = tf.compat.v1.GraphDef()
    nodes = [graphdef.to_proto_json(node) for node in job["nodes"]]
    json_format.ParseDict({"node": nodes}, graph, ignore_unknown_fields=True)
    for node in graph.node:
        if node.op == "Const" and node.name in weights:
            value = weights[node.name]
            value = value.astype(np.int64) if node.attr["dtype"].type == _INT64 else value
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))

    def cut_graph(image: Any) -> Any:
        wanted = [f"{name}:0" for name in job["outputs"].values()]
        tensors = tf.import_graph_def(graph, input_map={f"{job['input']}:0": image}, return_elements=wanted, name="")
        return dict(zip(job["outputs"], tensors, strict=True))

    signature = [tf.TensorSpec(job["shape"], tf.float32, name="image")]
    function = tf.function(cut_graph, input_signature=signature).get_concrete_function()
    (work / "version").write_text(tf.__version__)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())  # with it: a signature
    (work / "float.tflite").write_bytes(converter.convert())


def _file(archive: Path, name: str) -> bytes:
    """One file of a folder or a tar archive."""
    try:
        if archive.is_dir():
            return (archive / name).read_bytes()
        with tarfile.open(archive) as tar, tar.extractfile(name) or io.BytesIO() as file:  # a folder has no bytes
            return file.read()
    except KeyError:
        raise ConvertError(f"{archive.name}: has no file {name}") from None
    except (OSError, tarfile.TarError) as error:
        raise ConvertError(f"source {archive}: {getattr(error, 'strerror', None) or error}") from error


if __name__ == "__main__":
    _convert(Path(sys.argv[1]))
