"""TFLite files as they come: float ones to be quantised, int8 ones to be given a card.

What a file is stands in its tensors: a picture in, operators on floats or not. It is loaded and run first in a child
(`python -m convert.sources.tflite FOLDER`), for a graph may be crafted to bring its interpreter down.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec

from agent import foreign, modelfile
from agent.modelfile import Card, ModelError, ModelFile, Output, Tensor
from convert import ConvertError
from convert.process import sandbox
from convert.process.sandbox import Limits
from convert.sources import FloatModel, Request, answers, description, naming, recognition
from convert.tflite import graph

_TRY = Limits(seconds=120)
_EIGHT = ("int8", "uint8")
_MOST_PIXELS = 4096 * 4096


class _Sides(msgspec.Struct, frozen=True):
    """What sides.json says."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def float_model(request: Request) -> FloatModel:
    """The file with its card; `ready` where it is int8 already. Raises ConvertError."""
    what = f"model {request.path}"
    data = request.path.read_bytes()
    flatbuffer = data[: _length(request.path, len(data))]
    try:
        known = graph.read(flatbuffer)
        file = modelfile.read(request.path)
    except ConvertError as error:
        raise ConvertError(f"{what}: {error}; copy it again") from error
    except ModelError as error:
        raise ConvertError(str(error)) from error
    _check(known, what)
    labels = request.labels or modelfile.read_labels(request.path, None)
    request = msgspec.structs.replace(request, labels=labels)
    sides = _tried(request, what)
    moving = {t.dtype for t in known.tensors if not t.constant}
    if moving & set(_EIGHT):
        return _ready(request, flatbuffer, file, sides, known)
    _check_float(known, what)
    if file.card is not None:
        return _own(flatbuffer, file.card, request)
    if file.metadata is not None:
        return _exported(request, flatbuffer, file, sides, known)
    own = {"resize": "stretch", "range": (0.0, 1.0)}
    notes = [] if "range" in request.input else [description.guessed(0, 1, "a guess, nothing in it tells")]
    return answers.float_model(request, flatbuffer, own=own, labels=file.labels, tools={}, notes=notes)


def _length(path: Path, size: int) -> int:
    """Bytes of the flatbuffer, before a ZIP that may be appended."""
    try:
        with zipfile.ZipFile(path) as archive:
            return min((i.header_offset for i in archive.infolist()), default=size)
    except recognition.ZIP_TROUBLES:
        return size


def _check(known: graph.Graph, what: str) -> None:
    """Raises ConvertError for inputs that are no picture, or an absurd one."""
    if len(known.inputs) != 1:
        shown = ", ".join(known.inputs) or "none"
        raise ConvertError(f"{what}: has {len(known.inputs)} inputs ({shown}); one picture is what the agent feeds")
    shape = known.tensors[next(iter(known.inputs.values()))].shape
    if len(shape) != 4 or 3 not in (shape[1], shape[3]) or shape[0] != 1:
        raise ConvertError(f"{what}: takes {list(shape)}; pictures of the form [1, height, width, 3] are wanted")
    if min(shape) < 1 or shape[1] * shape[2] * shape[3] > 3 * _MOST_PIXELS:
        raise ConvertError(f"{what}: takes {list(shape)}; up to 4096x4096 is what is sensible")


def _check_float(known: graph.Graph, what: str) -> None:
    """Raises ConvertError for weights that are small already, and for operators that only other runtimes have."""
    small = sorted({t.dtype for t in known.tensors if t.constant and len(t.shape) > 1} & {"int8", "uint8", "float16"})
    if small:
        raise ConvertError(f"{what}: computes in float with weights in {small[0]}; give the plain float32 file")
    custom = [o.name for o in known.operators if o.name in ("CUSTOM", "FLEX") or o.name.startswith("TFLite_")]
    if custom:
        raise ConvertError(
            f"{what}: has operators that are not TFLite's own ({', '.join(sorted(set(custom)))}); cut it before them"
        )


def _tried(request: Request, what: str) -> _Sides:
    """Its inputs and outputs, once it has run in a child."""
    with sandbox.scratch("tflite") as work:
        (work / "file").write_text(str(request.path.resolve()), "utf-8")
        here = Path(sys.executable)
        sandbox.python(here, "convert.sources.tflite", work, what=what, tool="the TFLite interpreter", limits=_TRY)
        return msgspec.json.decode((work / "sides.json").read_bytes(), type=_Sides)


def _ready(request: Request, flatbuffer: bytes, file: ModelFile, sides: _Sides, known: graph.Graph) -> FloatModel:
    """An int8 file: its own card, the user's description, or what its tensors look like."""
    described = description.load(request.head)
    notes: tuple[str, ...] = ()
    if described:
        card = _described(request, described, sides)
    elif file.card is not None:
        card = msgspec.structs.replace(file.card, sha256="")
    else:
        try:
            card = foreign.recognise(file, sides.inputs, sides.outputs, request.labels)
        except ModelError as error:
            raise ConvertError(f"{error}; or --head FILE.toml") from error
        notes = (f"card: made from what the tensors look like ({card.task}, head {card.head}); check labels and range",)
    islands = graph.float_operators(known)
    if islands:
        notes = (*notes, f"{len(islands)} of its {len(known.operators)} operators compute in float")
    card = description.corrected(card, request.input)
    source = {"source": naming.source_of(request.path)} if not card.source else {}
    return FloatModel(flatbuffer, msgspec.structs.replace(card, **source), {}, {}, notes, ready=True)


def _described(request: Request, described: description.Description, sides: _Sides) -> Card:
    shapes = {t.name: t.shape for t in sides.outputs}
    missing = [o.tensor for o in described.outputs if o.tensor not in shapes]
    if missing:
        raise ConvertError(
            f"head {request.head}: no output {missing[0]!r} in {request.path.name}; it has {', '.join(shapes)}"
        )
    outputs = tuple(Output(o.tensor, o.role, shapes[o.tensor], o.stride) for o in described.outputs)
    height, width = sides.inputs[0].shape[1:3]
    more: dict[str, Any] = {"input": request.input, "labels": request.labels or described.labels}
    return description.card(described, f"model {request.path}", (width, height), outputs=outputs, **more)


def _own(flatbuffer: bytes, card: Card, request: Request) -> FloatModel:
    """A float file with Lookout's card: only its names are put in order."""
    known = graph.read(flatbuffer)
    try:
        names = {known.tensors[known.outputs[o.name]].name: o.name for o in card.outputs}
    except KeyError as error:
        raise ConvertError(f"model {request.path}: its card tells of an output {error} that is not there") from error
    model, _ = naming.rename(flatbuffer, names)
    card = description.corrected(card, request.input)
    return FloatModel(model, msgspec.structs.replace(card, sha256="", source=naming.source_of(request.path)))


def _exported(request: Request, flatbuffer: bytes, file: ModelFile, sides: _Sides, known: graph.Graph) -> FloatModel:
    """A float export of Ultralytics': its decoding is inside."""
    try:
        card = foreign.recognise(file, sides.inputs, sides.outputs, request.labels)
    except ModelError as error:
        raise ConvertError(str(error)) from error
    if card.input.layout == "NCHW":
        raise ConvertError(
            f"model {request.path}: takes its colours as planes (NCHW); give the ONNX: yolo export format=onnx"
        )
    tensors = {key: known.tensors[i].name for key, i in known.outputs.items()}
    names = {tensors[o.name]: o.role for o in card.outputs}
    model, shapes = naming.rename(flatbuffer, names)
    outputs = tuple(msgspec.structs.replace(o, name=o.role, shape=shapes[o.role]) for o in card.outputs)
    note = "head: boxes and scores come out of one tensor, which int8 spoils; give the ONNX, it is cut before that"
    card = description.corrected(card, request.input)
    card = msgspec.structs.replace(card, outputs=outputs, source=naming.source_of(request.path))
    return FloatModel(model, card, {}, {}, (note,))


def main(work: Path) -> None:
    """The child's job: load and run."""
    from agent.detect.backends.tflite import Backend  # noqa: PLC0415

    try:
        backend = Backend(Path((work / "file").read_text("utf-8")), 1)
        backend.run()
    except (ModelError, ValueError, RuntimeError) as error:
        raise ConvertError(str(error).partition(": ")[2] or str(error)) from error
    sides = _Sides(tuple(backend.inputs), tuple(backend.outputs))
    (work / "sides.json").write_bytes(msgspec.json.encode(sides))


if __name__ == "__main__":
    sandbox.child(main)
