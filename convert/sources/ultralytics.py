"""Ultralytics checkpoints (.pt) -> ONNX, by the user's own ultralytics, and on from there.

A .pt is a pickle, and unpickling runs what it says. It is read here without that: the names that it would call tell
what it is, and whether it means harm. Only with --trust, and only what looks like a checkpoint, is loaded at all, in a
child without network.

    ultralytics.nn.tasks.*     a checkpoint of v8 and later          exported
    models.yolo.*              one of YOLOv5's (or v7's) repository   its own export.py is the next step
    collections.OrderedDict    weights without a model               no next step without the code
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path

import msgspec

from convert import ConvertError
from convert.process import environment, sandbox
from convert.process.sandbox import Limits
from convert.sources import FloatModel, Request, naming, onnx, recognition

_EXPORT = Limits(seconds=900, memory=8 << 30)
_MOST_PICKLE = 256 << 20  # bytes of data.pkl; tensors lie beside it
_MOST_NAMES = 100_000
_HARM = {
    "os", "posix", "nt", "subprocess", "sys", "socket", "shutil", "runpy", "importlib", "webbrowser", "pty", "ctypes",
    "code", "pickle", "multiprocessing", "requests", "urllib", "http", "asyncio", "threading", "tempfile", "commands",
}  # fmt: skip
_HARM_BUILTINS = {
    "eval",
    "exec",
    "compile",
    "open",
    "__import__",
    "getattr",
    "breakpoint",
    "input",
    "apply",
    "execfile",
}
_SCRIPT = """
import sys
from ultralytics import YOLO
arguments = {"format": "onnx", "simplify": False, "dynamic": False}
if len(sys.argv) > 2:
    arguments["imgsz"] = [int(sys.argv[2]), int(sys.argv[3])]
print(YOLO(sys.argv[1]).export(**arguments))
"""


def float_model(request: Request) -> FloatModel:
    """The checkpoint's float model. Raises ConvertError: no --trust, no checkpoint, no ultralytics."""
    what, name = f"model {request.path}", request.path.name
    called = names(request.path, what)
    harm = sorted(n for n in called if _is_harm(n))
    if harm:
        raise ConvertError(f"{what}: a pickle that would run {harm[0]} when read; refused, with --trust too")
    modules = {n.split(" ")[0] for n in called}
    if any(m == "models" or m.startswith(("models.yolo", "models.common")) for m in modules):
        raise ConvertError(
            f"{what}: a checkpoint of YOLOv5's repository, which only its own code can read; in that folder:"
            f" python export.py --weights {name} --include onnx, then give the .onnx"
        )
    if not any(m.startswith("ultralytics.nn.") for m in modules):
        kind = "weights without their model" if any("torch" in m for m in modules) else "a pickle, but no checkpoint"
        raise ConvertError(
            f"{what}: {kind}; where the model is built: torch.onnx.export(model, image, 'model.onnx'), then give that"
        )
    if not request.trust:
        raise ConvertError(
            f"{what}: a pickle, and reading it runs code; --trust says that you know who made it,"
            f" or export it where it was trained: yolo export model={name} format=onnx"
        )
    return _exported(request, what)


def _exported(request: Request, what: str) -> FloatModel:
    python = environment.ultralytics()
    with sandbox.scratch("ultralytics") as work:
        weights = work / "model.pt"
        weights.write_bytes(request.path.read_bytes())
        size = [str(request.size[1]), str(request.size[0])] if request.size else []
        command = [str(python), "-c", _SCRIPT, str(weights), *size]
        sandbox.run(command, work, what=what, tool="ultralytics", limits=_EXPORT)
        made = work / "model.onnx"
        if not made.exists():
            raise ConvertError(f"{what}: ultralytics ended without an ONNX file; export it by hand and give that")
        found = onnx.float_model(msgspec.structs.replace(request, path=made))
    card = msgspec.structs.replace(found.card, source=naming.source_of(request.path))
    return msgspec.structs.replace(found, card=card)


def names(path: Path, what: str) -> set[str]:
    """What a pickle would import, as "module name", without unpickling it. Raises ConvertError."""
    try:
        return _globals(_pickle(path, what))
    except (IndexError, *recognition.ZIP_TROUBLES) as error:
        raise ConvertError(f"{what}: a pickle that is broken or cut short; copy it again") from error


def _pickle(path: Path, what: str) -> bytes:
    """The bytes of the pickle: data.pkl in the ZIP, or the file itself."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return file.read(_MOST_PICKLE)
    info = next(i for i in recognition.members(path, what) if i.filename.split("/")[-1] == "data.pkl")
    if info.file_size > _MOST_PICKLE:
        raise ConvertError(f"{what}: its pickle is of {info.file_size >> 20} MB; refused")
    with zipfile.ZipFile(path) as archive:
        return archive.read(info)


def _globals(data: bytes) -> set[str]:
    """Imports by GLOBAL and STACK_GLOBAL; the latter takes two strings from the stack, the memo may hold them."""
    found: set[str] = set()
    strings: list[str] = []
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
        name = opcode.name
        number = argument if isinstance(argument, int) else -1
        if name in ("GLOBAL", "INST"):
            found.add(str(argument))
        elif name == "STACK_GLOBAL":
            found.add(" ".join(strings[-2:]) if len(strings) > 1 else "? ?")
        elif "UNICODE" in name or "STRING" in name:
            strings.append(str(argument))
        elif name == "MEMOIZE":
            memo[len(memo)] = strings[-1] if strings else ""
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[number] = strings[-1] if strings else ""
        elif name in ("BINGET", "LONG_BINGET", "GET") and number in memo:
            strings.append(memo[number])
        if len(found) > _MOST_NAMES:
            break
    return found


def _is_harm(name: str) -> bool:
    module, _, attribute = name.partition(" ")
    root = module.split(".")[0]
    return root in _HARM or (root in ("builtins", "__builtin__") and attribute.split(".")[0] in _HARM_BUILTINS)
