"""Keras files and SavedModels -> float TFLite, batch 1.

    .keras, .h5     refused from their config (convert.sources.kerasconfig) before TensorFlow is started
    SavedModel      a folder; refused where its graph could read or write files, or call Python

TensorFlow runs in a child of its own environment (convert.sources.kerasgraph).
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any

import msgspec

from convert import ConvertError
from convert.process import environment, sandbox
from convert.process.sandbox import Limits
from convert.sources import FloatModel, Request, answers, description

log = logging.getLogger(__name__)
_LOOK = Limits(seconds=60, memory=1 << 30)
_CONVERT = Limits(seconds=900, memory=8 << 30)
_DANGEROUS = (b"PyFunc", b"EagerPyFunc", b"ReadFile", b"WriteFile", b"MatchingFiles", b"LoadLibrary", b"SaveV2Custom")
_UNKNOWN = (0.0, 1.0)  # of an input that nothing tells


def float_model(request: Request) -> FloatModel:
    """The model in float, and its card. Raises ConvertError."""
    what = f"model {request.path}"
    with sandbox.scratch("keras") as work:
        (work / "file").write_text(str(request.path.resolve()), "utf-8")
        if request.path.is_dir():
            _check_saved(request.path, what)
        elif importlib.util.find_spec("h5py") or not _is_hdf5(request.path):
            here = Path(sys.executable)
            sandbox.python(here, "convert.sources.kerasconfig", work, what=what, tool="the Keras reader", limits=_LOOK)
        return converted(request, work)


def converted(request: Request, work: Path) -> FloatModel:
    """What TensorFlow makes of the model that `file` in a scratch folder names. Raises ConvertError."""
    described = description.load(request.head)
    job = {"size": request.size, "outputs": [o.tensor for o in described.outputs] if described else []}
    (work / "job.json").write_bytes(msgspec.json.encode(job))
    tool, what = environment.tensorflow(), f"model {request.path}"
    sandbox.python(tool, "convert.sources.kerasgraph", work, what=what, tool="TensorFlow", limits=_CONVERT)
    made: dict[str, Any] = msgspec.json.decode((work / "made.json").read_bytes())
    own = {"range": made["range"] or _UNKNOWN, "resize": "stretch"}
    model, notes = (work / "float.tflite").read_bytes(), _notes(request, made)
    return answers.float_model(request, model, own=own, labels=(), tools=made["tools"], notes=notes)


def _notes(request: Request, made: dict[str, Any]) -> list[str]:
    """Where the input's range comes from: a wrong one costs more than int8 ever does."""
    if "range" in request.input:
        return []
    low, high = made["range"] or _UNKNOWN
    return [description.guessed(low, high, made["why"])]


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x89HDF"


def _check_saved(folder: Path, what: str) -> None:
    """Raises ConvertError for a graph with operators that reach out of it."""
    try:
        graph = (folder / "saved_model.pb").read_bytes()
    except OSError as error:
        raise ConvertError(f"{what}: saved_model.pb: {error.strerror}") from error
    found = [name.decode() for name in _DANGEROUS if name in graph]
    if found:
        raise ConvertError(
            f"{what}: its graph may reach files or run code ({', '.join(found)}); give the float .tflite"
        )
