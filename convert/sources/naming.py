"""What every front end ends with: contract names on a float TFLite, and where it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convert import ConvertError
from convert.tflite import finalise, graph

INPUT = "image"  # the contract's name of the input


def rename(model: bytes, names: Mapping[str, str]) -> tuple[bytes, dict[str, tuple[int, ...]]]:
    """The model mended, its input "image", its outputs named; `names`: tensor as it is -> contract name, in order.

    Also the shapes of the outputs, by contract name. Raises ConvertError: other outputs, several inputs, or names of
    other tensors in the way.
    """
    known = graph.read(model)
    tensors = {known.tensors[index].name: key for key, index in known.outputs.items()}
    if len(known.inputs) != 1:
        raise ConvertError(f"the float model has {len(known.inputs)} inputs; one picture is what the agent feeds")
    missing = [name for name in names if name not in tensors]
    if missing or len(names) != len(tensors):
        raise ConvertError(f"the float model's outputs are {', '.join(tensors)}; {', '.join(names)} were expected")
    model = _out_of_the_way(model, {INPUT, *names.values()})
    mended = finalise.tidy(model, dict.fromkeys(known.inputs, INPUT), {tensors[n]: name for n, name in names.items()})
    after = graph.read(mended)
    return mended, {name: after.tensors[i].shape for name, i in after.outputs.items()}


def _out_of_the_way(model: bytes, wanted: set[str]) -> bytes:
    """The model with other names for its inner tensors that are called as an input or output is to be."""
    raw = graph.unpack(model)
    subgraph = raw.subgraphs[0]
    sides = {int(i) for side in (subgraph.inputs, subgraph.outputs) for i in side}
    inner = [t for i, t in enumerate(subgraph.tensors) if i not in sides and graph.text(t.name) in wanted]
    for tensor in inner:
        tensor.name = f"inner/{graph.text(tensor.name)}"
    return graph.pack(raw) if inner else model


def source_of(path: Path) -> dict[str, Any]:
    """A card's source: the file's name and checksum; of a folder, that of its files in order."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest() if path.is_dir() else b"")
            if not path.is_dir():
                while chunk := opened.read(1 << 20):
                    digest.update(chunk)
    return {"file": path.name, "sha256": digest.hexdigest()}
