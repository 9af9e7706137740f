"""What a file is, from its bytes: a name may lie, and a wrong guess ends in somebody's traceback.

    "TFL3" at 4            tflite         ZIP: config.json, model.weights.h5     keras
    \\x89HDF at 0           keras          ZIP: */data.pkl, or a bare pickle      ultralytics
    folder: saved_model.pb keras          ZIP: metadata.json, weights.bin        teachable
    folder: model.json     tfjs           ZIP: *.tflite or *.h5, labels.txt      teachable
    tar, JSON              tfjs           protobuf with a graph in field 7       onnx
    model.json of layers   tfjslayers

Archives are looked into, never unpacked here: more than _MOST_UNPACKED, a member packed beyond _MOST_RATIO, a link, or
a path that leads out of the archive is refused.
"""

from __future__ import annotations

import json
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from convert import ConvertError

MOST_BYTES = 2 << 30  # of a model file; no edge device runs more
_MOST_UNPACKED = 4 << 30
_MOST_RATIO = 200  # bytes out of one byte in; weights hardly shrink at all
_SMALL = 1 << 20  # bytes that may unpack at any ratio
_MOST_MEMBERS = 10_000
_OTHERS = {  # first bytes of what people give by mistake -> what it is
    b"\xff\xd8\xff": "a JPEG picture", b"\x89PNG": "a PNG picture", b"GIF8": "a GIF picture", b"%PDF": "a PDF",
    b"RIFF": "a video or sound", b"\x7fELF": "a program", b"MZ": "a program", b"GGUF": "a language model (GGUF)",
    b"#!": "a script", b"<!DO": "a web page", b"<htm": "a web page", b"version https://git-lfs": "a Git LFS pointer",
}  # fmt: skip
_ONNX_FIELDS = {
    1: 0,
    2: 2,
    3: 2,
    4: 2,
    5: 0,
    6: 2,
    7: 2,
    8: 2,
    14: 2,
    20: 2,
    25: 2,
    26: 2,
}  # ModelProto: field -> wire type
_OF_LAYERS = {"class_name", "model_config"}  # of a TF.js topology of Keras layers; a graph has `node`
ZIP_TROUBLES = (  # of damaged bytes zipfile raises all of these; encrypted members are RuntimeErrors
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, EOFError, ValueError, RuntimeError),
)
KNOWN = ".keras, .h5, SavedModel, .onnx, .pt, .tflite, TF.js or Teachable Machine's .zip"


def kind(path: Path) -> str:
    """The name of a front end, one of the table above. Raises ConvertError, one line, for anything else."""
    what = f"model {path}"
    try:
        if path.is_dir():
            return _folder(path, what)
        size = path.stat().st_size
        if not path.is_file():
            raise ConvertError(f"{what}: not a file")
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ConvertError(f"{what}: {error.strerror}") from error
    if not size:
        raise ConvertError(f"{what}: empty (0 bytes); copy it again")
    if size > MOST_BYTES:
        raise ConvertError(f"{what}: {size / 2**30:.1f} GB; more than {MOST_BYTES >> 30} GB is refused")
    return _file(path, head, what)


def _file(path: Path, head: bytes, what: str) -> str:  # noqa: PLR0911  a table of marks, read from the top
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras"
    if head.startswith(b"PK\x03\x04"):
        return _zip(path, what)
    if head.startswith(b"\x80") and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "ultralytics"
    for start, name in _OTHERS.items():
        if head.startswith(start):
            raise ConvertError(f"{what}: {name}; known are {KNOWN}")
    if head.lstrip()[:1] == b"{":
        return _json(path, what)
    if head.startswith((b"\x1f\x8b", b"BZh")) or tarfile.is_tarfile(path):
        return _tar(path, what)
    if _is_onnx(path, what):
        return "onnx"
    raise ConvertError(f"{what}: its bytes are of no kind known here; known are {KNOWN}")


def members(path: Path, what: str) -> list[zipfile.ZipInfo]:
    """What a ZIP holds, once it is known to be harmless. Raises ConvertError."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except ZIP_TROUBLES as error:
        raise ConvertError(f"{what}: a ZIP that is broken or cut short; copy it again") from error
    total = sum(i.file_size for i in infos)
    packed = [i for i in infos if i.file_size > _SMALL and i.file_size > _MOST_RATIO * max(1, i.compress_size)]
    if len(infos) > _MOST_MEMBERS or total > _MOST_UNPACKED or packed:
        raise ConvertError(f"{what}: would unpack to {len(infos)} files of {total / 2**20:,.0f} MB; refused")
    links = [i.filename for i in infos if stat.S_ISLNK(i.external_attr >> 16)]
    _check_paths(what, (i.filename for i in infos), links)
    return infos


def member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> bytes:
    """One file out of a ZIP. Raises ConvertError where its bytes are not what the ZIP says of them."""
    try:
        return archive.read(info)
    except ZIP_TROUBLES as error:
        raise ConvertError(f"{what}: a ZIP that is broken or cut short; copy it again") from error


def _check_paths(what: str, names: Iterable[str], links: list[str]) -> None:
    if links:
        raise ConvertError(f"{what}: holds a link ({links[0]}); refused")
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1]:
            raise ConvertError(f"{what}: holds a file that would land outside of it ({name[:80]}); refused")


def _zip(path: Path, what: str) -> str:
    names = {i.filename for i in members(path, what)}
    last = {PurePosixPath(name).name for name in names}
    if {"config.json", "model.weights.h5"} <= names:
        return "keras"
    if "data.pkl" in last:
        return "ultralytics"
    if "model.json" in last or any(name.endswith((".tflite", ".h5")) for name in last):
        return "teachable"
    if "saved_model.pb" in last:
        raise ConvertError(f"{what}: a zipped SavedModel; unpack it and give its folder")
    shown = ", ".join(sorted(names)[:3]) or "nothing"
    raise ConvertError(f"{what}: a ZIP that is not a model (it holds {shown}); known are {KNOWN}")


def _tar(path: Path, what: str) -> str:
    total, names, links = 0, [], []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                total += member.size
                names.append(member.name)
                links += [member.name] if member.issym() or member.islnk() or member.isdev() else []
                if total > _MOST_UNPACKED or len(names) > _MOST_MEMBERS:
                    raise ConvertError(f"{what}: would unpack to more than {_MOST_UNPACKED >> 30} GB; refused")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ConvertError(f"{what}: an archive that is broken or cut short; copy it again") from error
    _check_paths(what, names, links)
    if any(name.endswith(".json") for name in names):
        return "tfjs"
    raise ConvertError(f"{what}: an archive without a TF.js model in it; unpack it and give the model itself")


def _json(path: Path, what: str) -> str:
    try:
        parsed = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ConvertError(f"{what}: JSON that is broken or cut short; copy it again") from error
    if "modelTopology" in parsed:
        topology = parsed["modelTopology"]
        return "tfjslayers" if isinstance(topology, dict) and topology.keys() & _OF_LAYERS else "tfjs"
    raise ConvertError(f"{what}: JSON, but no TF.js model (it has no modelTopology)")


def _folder(path: Path, what: str) -> str:
    root = path.resolve()
    for file in path.rglob("*"):
        if file.is_symlink() and not file.resolve().is_relative_to(root):
            raise ConvertError(f"{what}: holds a link that leads out of it ({file.name}); refused")
    if (path / "saved_model.pb").is_file():
        return "keras"
    if (path / "model.json").is_file():
        return _json(path / "model.json", what)
    raise ConvertError(f"{what}: a folder without saved_model.pb or model.json; give the model itself")


def _is_onnx(path: Path, what: str) -> bool:
    """Whether the file is a protobuf with ONNX's fields and a graph. Raises ConvertError for one that is cut short."""
    size, seen, graph = path.stat().st_size, 0, False
    with path.open("rb") as file:
        while file.tell() < size:
            key = _varint(file.read(10), file)
            field, wire = (key or 0) >> 3, (key or 0) & 7
            if key is None or _ONNX_FIELDS.get(field) != wire:
                return False
            value = _varint(file.read(10), file)
            if value is None:
                return False
            if wire == 2:
                if field == 7 and file.tell() + value > size:
                    raise ConvertError(f"{what}: an ONNX file that is cut short ({size} bytes); copy it again")
                graph |= field == 7
                file.seek(value, 1)
            seen += 1
    return graph and file is not None and seen > 1


def _varint(data: bytes, file: object) -> int | None:
    """Protobuf's number at the start of some bytes; the file is set to behind it."""
    value = 0
    for i, byte in enumerate(data):
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            file.seek(i + 1 - len(data), 1)  # type: ignore[attr-defined]
            return value
    return None
