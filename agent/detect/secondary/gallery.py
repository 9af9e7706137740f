"""Names and their vectors, for `match`: one file in state_dir, whole or not there at all.

    lookout-gallery 1 <sha256 of what follows>\\n
    msgpack: model (sha256), limit, promise, names, vectors (N × D float16)

It holds no picture and none can be made of it alone, but a vector tells a face from others: it is the owner's alone
(mode 600), and `remove --all` deletes it, a running agent's knowledge of it within a second of the next look.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from agent import disk
from agent.data import Array, LookoutError

_HEAD = b"lookout-gallery 1 "
_MOST_BYTES = 64 << 20


class GalleryError(LookoutError):
    """A gallery that cannot be used, and why."""


class Gallery(Struct, frozen=True):
    """What a file holds."""

    model: str  # sha256 of the flatbuffer that made the vectors
    size: int = 0  # numbers of a vector
    names: tuple[str, ...] = ()  # one a vector
    data: bytes = b""  # (N, size) float16
    limit: float | None = None  # cosine from which a name is believed; None: not set yet
    promise: str = ""  # what the limit costs, in words

    @property
    def vectors(self) -> Array:
        """(N, D) float32 of length 1."""
        return np.frombuffer(self.data, np.float16).reshape(len(self.names), self.size).astype(np.float32)

    def with_vectors(self, name: str, vectors: Array) -> Gallery:
        """The same with more pictures of one name: (n, D)."""
        if self.names and vectors.shape[1] != self.size:
            raise GalleryError(f"gallery: its vectors have {self.size} numbers, these {vectors.shape[1]}")
        data = self.data + np.asarray(vectors, np.float16).tobytes()
        names = (*self.names, *[name] * len(vectors))
        return msgspec.structs.replace(self, names=names, data=data, size=vectors.shape[1])

    def without(self, name: str) -> Gallery:
        """The same without a name. Raises GalleryError where it is not there."""
        if name not in self.names:
            known = ", ".join(sorted(set(self.names))) or "nobody"
            raise GalleryError(f"gallery: has no {name!r}; there are: {known}")
        kept = [n for n, other in enumerate(self.names) if other != name]
        data = self.vectors[kept].astype(np.float16).tobytes()
        return msgspec.structs.replace(self, names=tuple(self.names[n] for n in kept), data=data)


def path_of(state: Path, second: str) -> Path:
    """Where the gallery of [second.NAME] lies."""
    return state / f"{second}.gallery"


def pictures_of(path: Path) -> Path:
    """Where its pictures lie, if they were asked to be kept."""
    return path.with_suffix(".pictures")


def read(path: Path, model: str) -> Gallery:
    """The gallery, empty where there is no file. Raises GalleryError: damaged, or of another model (a sha256)."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise GalleryError(f"gallery {path}: larger than {_MOST_BYTES >> 20} MB; not one of ours")
        head, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return Gallery(model)
    except OSError as error:
        raise GalleryError(f"gallery {path}: {error.strerror}") from error
    damaged = GalleryError(f"gallery {path}: damaged; restore it, or delete it and add the pictures again")
    if head != _HEAD + hashlib.sha256(body).hexdigest().encode():
        raise damaged
    try:
        found = msgspec.msgpack.decode(body, type=Gallery)
    except msgspec.MsgspecError as error:
        raise damaged from error
    if len(found.data) != 2 * found.size * len(found.names):
        raise damaged
    if found.model != model:
        raise GalleryError(f"gallery {path}: made with another model ({found.model[:12]}); add the pictures again")
    return found


def write(path: Path, gallery: Gallery) -> None:
    """The old one or this, whole, whenever the power goes. Raises GalleryError."""
    body = msgspec.msgpack.encode(gallery)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.replace(path, _HEAD + hashlib.sha256(body).hexdigest().encode() + b"\n" + body, mode=0o600)
        if os.geteuid() == 0:  # root adds somebody, the service has to read it
            owner = path.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise GalleryError(f"gallery {path}: {error.strerror}; nothing has changed") from error


def delete(path: Path) -> bool:
    """The file and the pictures beside it, if any; whether there was something. Raises GalleryError."""
    was_there = path.exists() or pictures_of(path).exists()
    try:
        path.unlink(missing_ok=True)
        path.with_name(f".{path.name}").unlink(missing_ok=True)  # a draft that a power cut left
    except OSError as error:
        raise GalleryError(f"gallery {path}: {error.strerror}; it is not deleted") from error
    delete_pictures(pictures_of(path))
    return was_there


def delete_pictures(folder: Path) -> None:
    """A folder of them, if it is there. Raises GalleryError."""
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise GalleryError(f"gallery {folder}: {error.strerror}; not all pictures are deleted") from error
