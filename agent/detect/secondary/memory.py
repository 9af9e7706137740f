"""What a place looks like when all is well, as a model file carries it behind its flatbuffer:

    memory/centre.npy    (C,)    float32   mean of the features, taken off
    memory/whiten.npy    (C, D)  float16   what differs at a place then has spread 1 (PaDiM, Defard et al., 2020)
    memory/vectors.npy   (M, D)  float16   normal patches, few that stand for all (PatchCore's coreset, CVPR 2022)
    memory/usual.npy     (2, h, w) float32 distance of normal patches to them where they were not learned: mean, spread

A patch is as strange as it is far from the nearest vector, beyond what is usual at its place, in usual spreads. A
picture is as strange as its strangest cells, SHARE of all. What is strange enough stands in the card: `decode.limit`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from agent import modelfile
from agent.data import Array
from agent.modelfile import Card, ModelError

SHARE = 0.03  # of the cells of a picture that decide
MOST = 4096  # vectors
_MOST_BYTES = 64 << 20  # of one array
_FOLDER = "memory/"
_STAMP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Normal patches."""

    centre: Array  # (C,) float32
    whiten: Array  # (C, D) float16
    vectors: Array  # (M, D) float16
    usual: Array  # (2, h, w) float32

    def strangeness(self, patches: Array) -> Array:
        """(h, w, C) float32 -> (h, w) float32: distance beyond the usual, in usual spreads."""
        rows, columns = patches.shape[:2]
        centred = patches.reshape(rows * columns, -1) - self.centre
        flat = cv2.gemm(centred, self.whiten.astype(np.float32), 1.0, None, 0.0)
        mean, spread = self.usual
        return np.asarray((nearest(flat, self.vectors).reshape(rows, columns) - mean) / spread, np.float32)


def nearest(points: Array, vectors: Array) -> Array:
    """(N, D), (M, D) -> (N,) float32: Euclidean distance to the nearest."""
    known = np.asarray(vectors, np.float32)  # OpenCV: a BLAS would wake a thread a core, and wait for all of them
    apart, _ = cv2.batchDistance(np.asarray(points, np.float32), known, cv2.CV_32F, normType=cv2.NORM_L2, K=1)
    return np.asarray(apart[:, 0])


def strongest(strange: Array) -> float:
    """(h, w) -> the mean of the SHARE strangest cells."""
    count = max(1, round(SHARE * strange.size))
    return float(np.sort(strange, axis=None)[-count:].mean())


def pack(flatbuffer: bytes, card: Card, memory: Memory, report: Mapping[str, Any]) -> bytes:
    """A model file with its memory; the card gets the memory's checksum. Same input, same bytes."""
    entries = {field.name: _bytes(getattr(memory, field.name)) for field in fields(memory)}
    card = msgspec.structs.replace(card, decode={**card.decode, "memory": _digest(entries)})
    buffer = io.BytesIO(modelfile.pack(flatbuffer, card, dict(report))[0])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(f"{_FOLDER}{name}.npy", _STAMP)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return buffer.getvalue()


def read(path: Path) -> tuple[Card, Memory]:
    """A model file's card and memory, without an interpreter. Raises ModelError: another model, or damaged."""
    card = modelfile.read(path).card
    if card is None or card.head != "patches" or not {"limit", "region", "memory", "usual"} <= card.decode.keys():
        raise ModelError(f"model {path}: has no memory of normal pictures; python -m convert novelty makes one")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = {field.name: archive.getinfo(f"{_FOLDER}{field.name}.npy") for field in fields(Memory)}
            is_too_large = any(info.file_size > _MOST_BYTES for info in infos.values())
            entries = {name: archive.read(info) for name, info in infos.items() if not is_too_large}
        arrays = {name: np.load(io.BytesIO(data), allow_pickle=False) for name, data in entries.items()}
    except Exception as error:  # of a damaged file, zipfile, zlib and NumPy raise a dozen kinds
        raise ModelError(f"model {path}: its memory cannot be read ({error}); build it again") from error
    if is_too_large:
        raise ModelError(f"model {path}: its memory is larger than {_MOST_BYTES >> 20} MB; refused")
    memory = Memory(**arrays)
    if _digest(entries) != card.decode["memory"] or not _fits(memory):
        raise ModelError(f"model {path}: its memory is not the one that its card tells of; build it again")
    return card, memory


def _fits(memory: Memory) -> bool:
    """Whether the arrays belong together."""
    shapes = memory.centre.ndim, memory.whiten.ndim, memory.vectors.ndim, memory.usual.ndim
    return (
        shapes == (1, 2, 2, 3)
        and memory.whiten.shape == (len(memory.centre), memory.vectors.shape[1])
        and 0 < len(memory.vectors) <= MOST
        and len(memory.usual) == 2
        and bool((memory.usual[1] > 0).all())
    )


def _bytes(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _digest(entries: Mapping[str, bytes]) -> str:
    return hashlib.sha256(b"".join(entries[name] for name in sorted(entries))).hexdigest()
