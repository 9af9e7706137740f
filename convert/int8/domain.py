"""Whether pictures are fit to calibrate on: told before the work starts, because afterwards nothing shows it.

unreadable     left out, and named
too few        ranges are guessed from what was not seen
all alike      twenty copies of one picture are one picture
grey           of a model that wants colour, while the pictures to come are coloured
wrong domain   far from the pictures to come, in the model's own eyes: the mean activation of each channel of
               its deepest layer. The distance of the two clouds is Szekely and Rizzo's energy coefficient of
               inhomogeneity (2013), 0 = drawn from the same, 1 = nothing in common
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from agent.data import Array, LookoutError
from agent.modelfile import Input
from convert import ConvertError
from convert.int8 import calibration
from convert.tflite import graph

FEW = 48  # pictures, all in all, below which we say so
LEAST = 8  # below which there is nothing to work with
ALIKE = 2.0  # grey levels (rms, of a small picture) by which two pictures must differ
FAR = 0.25  # coefficient of inhomogeneity
_SMALL = (32, 32)  # px
_SAMPLE = 48  # pictures of each side that are compared


def readable(paths: Sequence[Path], read: Callable[[Path], Array]) -> tuple[list[Path], list[str]]:
    """Those that can be read, and a line for those that cannot. Raises ConvertError where none can."""
    good, bad = [], []
    for path in paths:
        try:
            read(path)
        except LookoutError:
            bad.append(path)
        else:
            good.append(path)
    if not good:
        raise ConvertError(f"images {paths[0].parent}: none of {len(paths)} can be read (first: {paths[0].name})")
    names = ", ".join(p.name for p in bad[:3]) + (", .." if len(bad) > 3 else "")
    return good, [f"{len(bad)} of {len(paths)} pictures cannot be read and are left out ({names})"] if bad else []


def findings(paths: Sequence[Path], read: Callable[[Path], Array]) -> list[str]:
    """What is wrong with a set as such, a line each. Raises ConvertError for fewer than LEAST."""
    if len(paths) < LEAST:
        raise ConvertError(
            f"images {paths[0].parent}: {len(paths)} readable; some calibrate and others must score: give {LEAST} or"
            " more, better 100 or more"
        )
    found = []
    if len(paths) < FEW:
        found.append(f"only {len(paths)} pictures: ranges are guesses and scores are coarse; 100 or more are better")
    small = np.stack([cv2.resize(read(path), _SMALL, interpolation=cv2.INTER_AREA) for path in paths]).astype(
        np.float32
    )
    flat = small.reshape(len(small), -1)
    nearest = np.array([_rms_to_others(flat, i) for i in range(len(flat))])
    alike = int((nearest < ALIKE).sum())
    if alike > len(paths) // 2:
        found.append(f"{alike} of {len(paths)} pictures have a twin: all alike teach no more than one of them")
    grey = int((np.ptp(small, axis=3).max(axis=(1, 2)) < ALIKE).sum())
    if grey > len(paths) // 2:
        found.append(f"{grey} of {len(paths)} pictures are grey: colours, should they come, will leave the ranges")
    return found


def _rms_to_others(flat: Array, i: int) -> float:
    distances = np.sqrt(np.mean((flat - flat[i]) ** 2, axis=1))
    distances[i] = np.inf
    return float(distances.min())


def far_apart(
    model: bytes, wanted: Input, ours: Sequence[Path], theirs: Sequence[Path], read: Callable[[Path], Array]
) -> tuple[float, list[str]]:
    """How far the pictures of `ours` are from `theirs` in the model's own eyes, and a line where that is too far."""
    layer = deepest(model)
    if layer is None:
        return 0.0, []
    a, b = (calibration.channel_means(model, wanted, paths[:_SAMPLE], layer, read) for paths in (ours, theirs))
    distance = inhomogeneity(a, b)
    line = (
        f"the pictures to calibrate on are far from those to evaluate on ({distance:.2f}, from {FAR} on): wrong domain?"
    )
    return distance, [line] if distance > FAR else []


def deepest(model: bytes) -> str | None:
    """The convolution's output (1, h, w, C) with the most channels, the last of several; None without one."""
    found = graph.read(model)
    outputs = [found.tensors[o.outputs[0]] for o in found.operators if o.name in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    known = [t for t in outputs if len(t.shape) == 4]
    return max(enumerate(known), key=lambda pair: (pair[1].shape[3], pair[0]))[1].name if known else None


def inhomogeneity(a: Array, b: Array) -> float:
    """Energy coefficient of two clouds (N, D) and (M, D), each dimension by its own spread: 0..1."""
    spread = np.concatenate([a, b]).std(axis=0)
    a, b = (x[:, spread > 0] / spread[spread > 0] for x in (a, b))
    between, in_a, in_b = _apart(a, b).mean(), _within(a), _within(b)
    return float(max(0.0, 1.0 - (in_a + in_b) / (2.0 * between))) if between > 0 else 0.0


def _within(a: Array) -> float:
    """Mean distance of two different rows."""
    return float(_apart(a, a).sum() / max(1, len(a) * (len(a) - 1)))


def _apart(a: Array, b: Array) -> Array:
    """(N, M) distances of rows."""
    return np.asarray(np.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)))
