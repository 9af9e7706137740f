"""What was learned, on disk: one .npz with a version, written beside the old one, synced, and then put in its place.

Whoever is killed in between leaves the old file whole. A file that is damaged, of another version or of another grid is
set aside, with one warning, and learning begins anew: what is normal comes back by itself.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from agent.anomalies.normality.likeness import WIDE
from agent.anomalies.normality.many import Many
from agent.anomalies.normality.stir import Stir
from agent.anomalies.normality.tails import Tails
from agent.anomalies.normality.traits import BINS, LABELS, NAMES, Traits
from agent.anomalies.normality.who import Who
from agent.data import Array

log = logging.getLogger(__name__)
VERSION = 5
_COUNTS = ("people", "looks", "square")
_MOST = 64 << 20  # bytes; no file of ours


def keep(path: Path, who: Who, many: Many, stir: Stir, watched_s: float) -> bool:
    """Whether it is on the disk now."""
    arrays: dict[str, Array] = {"watched_s": np.array([watched_s]), "stir": stir.habit.counts}
    for name, tails in _tails(who, many, stir).items():
        arrays |= {f"{name}_peaks": tails.peaks[: tails.count], f"{name}_seen": np.array([tails.count])}
    arrays |= {f"count_{k}": getattr(many.counts, k) for k in _COUNTS}
    if who.traits:
        arrays |= {"grid": np.array(who.traits.grid), "labels": np.array(who.traits.labels, np.int64)}
        arrays |= {"moments": who.like.moments, "moments_seen": who.like.seen}
        arrays |= {f"habit_{k}": h.counts for k, h in zip(NAMES, who.traits.habits, strict=True)}
    return save(path, arrays)


def recall(path: Path, who: Who, many: Many, stir: Stir) -> float:
    """Fill them with what is in the file; the seconds that were watched for it, 0 where there is none of use."""
    shapes: dict[str, tuple[int, ...]] = {
        "watched_s": (1,),
        "grid": (2,),
        "labels": (-1,),
        "stir": (-1, -1, BINS["speed"]),
    }
    for name, tails in _tails(who, many, stir).items():
        shapes |= {f"{name}_peaks": (-1, tails.peaks.shape[1]), f"{name}_seen": (1,)}
    shapes |= {f"count_{k}": getattr(many.counts, k).shape for k in _COUNTS}
    shapes |= {f"habit_{k}": (-1, -1, -1) for k in NAMES} | {"moments": (-1, WIDE), "moments_seen": (-1,)}
    found = load(path, shapes)
    if found is None:
        return 0.0
    traits = Traits((int(found["grid"][0]), int(found["grid"][1])))
    for name, habit in zip(NAMES, traits.habits, strict=True):
        if found[f"habit_{name}"].shape != habit.counts.shape:
            _aside(path, f"made for something else ({name})")
            return 0.0
        habit.counts[...] = found[f"habit_{name}"]
    traits.labels = [int(n) for n in found["labels"][:LABELS]]
    who.traits = traits
    for name, tails in _tails(who, many, stir).items():
        n = min(len(found[f"{name}_peaks"]), len(tails.peaks))
        tails.peaks[:n], tails.count = found[f"{name}_peaks"][:n], max(n, int(found[f"{name}_seen"][0]))
    for k in _COUNTS:
        getattr(many.counts, k)[...] = found[f"count_{k}"]
    who.like.remember(found["moments"], found["moments_seen"])
    stir.remember(found["stir"])
    return float(found["watched_s"][0])


def _tails(who: Who, many: Many, stir: Stir) -> dict[str, Tails]:
    shared = {"who": who.tails, "who_spells": who.spells.tails, "many": many.spells.tails, "stir": stir.spells.tails}
    return shared | {f"who_{kind}": tails for kind, tails in enumerate(who.own)}


def save(path: Path, arrays: Mapping[str, Array]) -> bool:
    """Whether it is on the disk; a disk that refuses costs a warning."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{**arrays, "version": np.array(VERSION)})
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        log.warning("unusual: %s: %s; what was learned is kept in memory and tried again", path, error.strerror)
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        return False
    return True


def load(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array] | None:
    """The arrays of these names, all of these shapes (-1: any length) and finite; None: there is nothing of use."""
    try:
        if path.stat().st_size > _MOST:
            _aside(path, "too large")
            return None
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            if int(file["version"]) != VERSION:
                _aside(path, f"of version {int(file['version'])}")
                return None
            arrays = {name: file[name] for name in shapes}
    except FileNotFoundError:
        return None
    except Exception as error:  # of a damaged file, zipfile, zlib and NumPy raise a dozen kinds
        _aside(path, f"not readable ({type(error).__name__})")
        return None
    for name, shape in shapes.items():
        found = arrays[name]
        fits = found.ndim == len(shape) and all(s in (-1, n) for s, n in zip(shape, found.shape, strict=True))
        if not fits or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
            _aside(path, f"made for something else ({name})")
            return None
    return arrays


def _aside(path: Path, why: str) -> None:
    log.warning("unusual: %s is %s: set aside, learning begins anew", path, why)
    with contextlib.suppress(OSError):
        path.replace(path.with_name(path.name + ".aside"))
