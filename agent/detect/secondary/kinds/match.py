"""Is it one of those we know? A vector a crop, compared with a gallery: `python -m agent gallery`.

    [second.face]
    kind = "match"
    file = "faces.tflite"           # an embedder: task "embed"
    labels = ["person"]
    part = "upper"

A track's vector is the weighted mean of those of its best crops; its likeness to a name the highest cosine with one of
the name's pictures. Below the limit it is unknown, and so is everybody before a limit was set: `gallery test --set`
finds the one that lets through at most a stated share of strangers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct

from agent.data import Array, Reading
from agent.detect.secondary import Eye, Where, gallery
from agent.detect.secondary.embedding import Embedding

log = logging.getLogger(__name__)


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[second.NAME], kind "match"."""

    file: Path  # an embedder: task "embed"
    limit: Annotated[float, Meta(ge=-1, le=1)] | None = None  # cosine; None: what `gallery test --set` found


def create(options: Options, where: Where) -> Eye:
    """Raises ModelError: no embedder; GalleryError: a gallery that is damaged or of another model."""
    return Match(options, where)


class Match:
    """An embedder and its gallery, which is read again when its file is another."""

    step = 0.0

    def __init__(self, options: Options, where: Where) -> None:
        self._embedding, self._options = Embedding(options.file), options
        self.side, self.sha256 = self._embedding.side, self._embedding.sha256
        self.path = gallery.path_of(where.state, where.name)
        self._stamp = self._stamped()
        self._known = gallery.read(self.path, self.sha256)
        names = len(set(self._known.names))
        self.about = f"it compares with {names} names in {self.path}; `gallery remove --all` deletes them"
        if names and self._limit is None:
            log.warning("second look %s: no limit is set, so nobody is known; gallery test --set", where.name)

    @property
    def _limit(self) -> float | None:
        return self._known.limit if self._options.limit is None else self._options.limit

    def look(self, picture: Array, scale: float) -> Array:
        """(D,) float32 of length 1."""
        del scale
        return self._embedding.vector(picture)

    def sum_up(self, t: float, looks: Sequence[tuple[float, Any]]) -> Reading:
        """The name that the looks' mean is most like, if it is like enough."""
        self._reread()
        mean = np.sum([weight * vector for weight, vector in looks], axis=0)
        length = float(np.linalg.norm(mean))
        limit = self._limit
        if not self._known.names or length == 0:
            return Reading(t, None, 0.0, len(looks), {"limit": limit})
        alike = self._known.vectors @ (mean / length)
        best = int(alike.argmax())
        likeness = float(np.clip(alike[best], 0.0, 1.0))
        is_known = limit is not None and alike[best] >= limit
        return Reading(t, self._known.names[best] if is_known else None, likeness, len(looks), {"limit": limit})

    def _reread(self) -> None:
        stamp = self._stamped()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._known = gallery.read(self.path, self.sha256)
        except gallery.GalleryError as error:
            self._known = gallery.Gallery(self.sha256)
            log.error("%s; nobody is known meanwhile", error)  # noqa: TRY400  one line
        else:
            log.info("gallery %s: %d names now", self.path, len(set(self._known.names)))

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns, found.st_size  # who may read it changes its ctime too
