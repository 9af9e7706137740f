"""Google's Teachable Machine: the ZIPs that it exports, and any ZIP with a .tflite or .h5 and its labels.txt.

    TensorFlow Lite    model_unquant.tflite (float), model.tflite (int8)     labels.txt  "0 cat"
    Keras              keras_model.h5                                       labels.txt
    TensorFlow.js      model.json, weights.bin: Keras layers        metadata.json   "labels"

All of them were trained on pictures of -1 to 1.
"""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path, PurePosixPath

import msgspec

from agent import modelfile
from convert import ConvertError
from convert.process import sandbox
from convert.sources import FloatModel, Request, keras, naming, recognition, tfjslayers, tflite

_LABELS, _METADATA = "labels.txt", "metadata.json"
_BEST = ("model_unquant.tflite", "keras_model.h5", "model.tflite")  # float before int8: then the loss can be told
_RANGE = (-1.0, 1.0)
_MOST_LABELS = 1 << 20  # bytes


class _Metadata(msgspec.Struct, frozen=True):
    """What is wanted of metadata.json."""

    labels: tuple[str, ...] = ()


def float_model(request: Request) -> FloatModel:
    """The model in a ZIP, with its labels. Raises ConvertError."""
    what = f"model {request.path}"
    infos = recognition.members(request.path, what)
    files = {PurePosixPath(i.filename).name: i for i in infos}
    models = [n for n in _BEST if n in files] or sorted(n for n in files if n.endswith((".tflite", ".h5")))
    if not models:
        return _layers(request, files, what)
    with sandbox.scratch("teachable") as work, zipfile.ZipFile(request.path) as archive:
        inner = work / models[0]
        inner.write_bytes(recognition.member(archive, files[models[0]], what))
        labels = request.labels
        if not labels and _LABELS in files and files[_LABELS].file_size < _MOST_LABELS:
            (work / _LABELS).write_bytes(recognition.member(archive, files[_LABELS], what))
            labels = modelfile.read_labels(inner, work / _LABELS)
        known = {"range": _RANGE} if models[0] in _BEST else {}
        found = _read(msgspec.structs.replace(request, path=inner, labels=labels, input=known | request.input), what)
    card = msgspec.structs.replace(found.card, source=naming.source_of(request.path) | {"member": models[0]})
    return msgspec.structs.replace(found, card=card)


def _layers(request: Request, files: dict[str, zipfile.ZipInfo], what: str) -> FloatModel:
    """The TensorFlow.js export, whose labels stand in its metadata."""
    with zipfile.ZipFile(request.path) as archive:

        def file(name: str) -> bytes:
            return recognition.member(archive, files[PurePosixPath(name).name], what)

        labels = request.labels
        if not labels and _METADATA in files and files[_METADATA].file_size < _MOST_LABELS:
            with contextlib.suppress(msgspec.MsgspecError):
                labels = msgspec.json.decode(file(_METADATA), type=_Metadata).labels
        request = msgspec.structs.replace(request, labels=labels, input={"range": _RANGE} | request.input)
        return tfjslayers.of_files(request, file)


def _read(request: Request, what: str) -> FloatModel:
    """The member, by its kind; its troubles under the ZIP's name."""
    read = tflite.float_model if recognition.kind(request.path) == "tflite" else keras.float_model
    try:
        return read(request)
    except ConvertError as error:
        raise ConvertError(str(error).replace(f"model {request.path}", f"{what}, {Path(request.path).name}")) from error
