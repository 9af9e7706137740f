"""TensorFlow.js graph models -> float TFLite.

A TF.js graph model is a GraphDef written as JSON, and its constants in files ("shards") of raw little-endian bytes:

    model.json   modelTopology.node[]   name, op, input[], attr{}
                 weightsManifest[]      paths[] of the shards, weights[] in their order: name, shape, dtype,
                                        quantization{dtype, scale, min} where they were made smaller

The graph is read and cut in plain Python; only the last step, GraphDef -> TFLite, needs TensorFlow. It runs in a
child process (`python -m convert.sources.tfjs FOLDER`), which finds its job in that folder and leaves its result there.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np

from agent.data import Array
from convert import ConvertError
from convert.process import environment, sandbox
from convert.process.sandbox import Limits
from convert.sources import Cut, FloatModel, Request, answers, description, graphdef
from convert.sources.graphdef import Node

_DTYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32, "uint8": np.uint8, "uint16": np.uint16}
_INT64 = 9  # DT_INT64: TF.js stores these as int32
_CONVERT = Limits(seconds=900, memory=8 << 30)
_UNKNOWN = (0.0, 1.0)  # what pixels stand for where nobody tells
_MOST_FILE = 1 << 30  # bytes of one file in an archive


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys of [source]."""

    model: str  # model.json inside the archive
    input: str  # the node whose output becomes the model's input (1, height, width, 3)
    outputs: dict[str, str]  # contract name -> node
    constants: dict[str, str] = {}  # what to hand on -> node of a constant


def read(options: Options, archive: Path, size: tuple[int, int]) -> Cut:
    """The cut graph as float TFLite. Raises ConvertError: no TensorFlow, or a graph without the named nodes."""
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
    return Cut(model, constants, {"tensorflow": version})


def float_model(request: Request) -> FloatModel:
    """A graph model that no recipe tells of: cut where --head says, else at its signature. Raises ConvertError."""
    archive, what = request.path, f"model {request.path}"
    described = description.load(request.head)
    model = described.source if described and described.source else _only_model(archive, what)
    folder = archive.parent if archive.is_file() and archive.name == model else archive
    graph, _ = load(folder, model)
    pictures = {n["name"]: n for n in graph if n["op"] == "Placeholder"}
    source = described.input_tensor if described and described.input_tensor else next(iter(pictures), "")
    if len(pictures) != 1 and not (described and described.input_tensor):
        raise ConvertError(
            f"{what}: has {len(pictures)} inputs; name the picture's with --head FILE.toml, input_tensor"
        )
    read_by = {graphdef.node_of(i) for n in graph for i in n.get("input", [])}
    ends = [n["name"] for n in graph if n["name"] not in read_by and n["op"] not in ("Const", "Placeholder")]
    outputs = {o.name: o.tensor for o in described.outputs} if described else {n.replace("/", "_"): n for n in ends}
    size = _size(pictures.get(source, {}), request.size, what)
    found = read(Options(model, source, outputs), folder, size)
    if described:
        outputs_by_name = tuple(msgspec.structs.replace(o, tensor=o.name) for o in described.outputs)
        described = msgspec.structs.replace(described, outputs=outputs_by_name)
    own: dict[str, Any] = {"range": _UNKNOWN, "resize": "stretch"}
    notes = [] if "range" in request.input or described else [description.guessed(*_UNKNOWN, "a guess")]
    tools = found.tools
    return answers.float_model(request, found.model, own=own, labels=(), tools=tools, notes=notes, described=described)


def _only_model(archive: Path, what: str) -> str:
    """The model.json of an archive, a folder, or the file itself. Raises ConvertError where there are several."""
    if archive.is_dir():
        return "model.json"
    if not tarfile.is_tarfile(archive):
        return archive.name
    with tarfile.open(archive) as tar:
        found = [n for n in tar.getnames() if n.endswith("model.json")]
    if len(found) != 1:
        raise ConvertError(f"{what}: holds {len(found)} files model.json; name one with --head FILE.toml, source")
    return found[0]


def _size(node: Node, wanted: tuple[int, int] | None, what: str) -> tuple[int, int]:
    """(width, height) of a Placeholder (1, h, w, 3); `wanted` where the graph leaves it open."""
    dims = [int(d.get("size", -1)) for d in node.get("attr", {}).get("shape", {}).get("shape", {}).get("dim", [])]
    if len(dims) == 4 and dims[3] not in (3, -1):
        raise ConvertError(f"{what}: takes {dims}; pictures of the form [1, height, width, 3] are wanted")
    if len(dims) == 4 and min(dims[1:3]) > 0:
        return dims[2], dims[1]
    if wanted is None:
        raise ConvertError(f"{what}: leaves its input's size open; give --size WIDTHxHEIGHT")
    return wanted


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
    with sandbox.scratch("tfjs") as work:
        (work / "job.json").write_text(json.dumps(job | {"weights": list(weights)}))
        np.savez(work / "weights.npz", *weights.values())  # by place: a node's name may hold any character
        tool, what = environment.tensorflow(), f"source {archive.name}"
        sandbox.python(tool, "convert.sources.tfjs", work, what=what, tool="TensorFlow", limits=_CONVERT)
        return (work / "float.tflite").read_bytes(), (work / "version").read_text()


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
    sandbox.child(_convert)
