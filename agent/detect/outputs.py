"""Raw output tensors of a model, for the heads: found by role, thresholded while still quantised, dequantised.

A quantised value q stands for the real value (q - zero_point) · scale. Thresholds are turned into q once, so that
a frame's hundred thousand scores are compared as bytes and only the survivors ever become floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import msgspec
import numpy as np

from agent.data import Array
from agent.modelfile import Card, ModelError, Tensor

T = TypeVar("T")

# Few of many values pass. Folded 32 times onto itself, greatest on top, an array shows in one sweep of vector
# instructions where to look: 40 µs for 512,000 bytes, 140 µs by comparing each (x86, NumPy 2.4).
_FOLDS = 32
_LARGE = 65536  # values from which that pays


def decode_options(card: Card, kind: type[T]) -> T:
    """card.decode as the head's own type. Raises ModelError."""
    try:
        return msgspec.convert(card.decode, kind)
    except msgspec.ValidationError as error:
        raise ModelError(f"model card, decode: {error}") from error


def find(card: Card, outputs: Sequence[Tensor], role: str, stride: int | None = None) -> int:
    """Index of the output that plays a role in the card (at a stride, for grids): by its name there, else its shape.

    Raises ModelError where the card knows no such role, or no output, or more than one, is it.
    """
    described = [o for o in card.outputs if o.role == role and stride in (None, o.stride)]
    if len(described) != 1:
        known = ", ".join(o.role if o.stride is None else f"{o.role}/{o.stride}" for o in card.outputs) or "none"
        at = "" if stride is None else f" at stride {stride}"
        raise ModelError(
            f"model card: head {card.head!r} needs one output with role {role!r}{at}; the card has: {known}"
        )
    wanted = described[0]
    named = [i for i, tensor in enumerate(outputs) if tensor.name == wanted.name]
    shaped = [i for i, tensor in enumerate(outputs) if tensor.shape == wanted.shape]
    if len(named) == 1 and named[0] in shaped:
        return named[0]
    if not named and len(shaped) == 1:
        return shaped[0]
    found = ", ".join(f"{t.name} {list(t.shape)}" for t in outputs)
    raise ModelError(f"model output {wanted.name!r} {list(wanted.shape)} ({role}) is not in the file; it has: {found}")


def lowest(tensor: Tensor, real: float) -> float:
    """The least stored value that stands for at least `real`: -inf where every one does, +inf where none can.

    scale 0.1, zero_point 10: 0.25 -> 13, which stands for 0.3 (12 stands for 0.2).
    """
    if tensor.dtype == "float32":
        return real
    if not math.isfinite(real):
        return real
    q = math.ceil(real / (tensor.scale or 1.0) + tensor.zero_point - 1e-6)  # a value on the threshold passes
    limit = np.iinfo(tensor.dtype)
    return -math.inf if q <= limit.min else math.inf if q > limit.max else q


def at_least(values: Array, least: float) -> Array:
    """Which stored values are `least` (from `lowest`) or more: bool, of the same shape."""
    if math.isinf(least):
        return np.full(values.shape, least < 0)
    mask: Array = values >= values.dtype.type(least)
    return mask


def passing(values: Array, least: float) -> Array:
    """Flat indices, ascending, of the stored values that are `least` (from `lowest`) or more."""
    flat = values.reshape(-1)
    if least == math.inf:
        return np.zeros(0, np.intp)
    if least == -math.inf:
        return np.arange(flat.size)
    limit = flat.dtype.type(least)
    length = flat.size // _FOLDS
    if flat.size < _LARGE:
        return np.asarray((flat >= limit).nonzero()[0])
    folded = flat[: _FOLDS * length].reshape(_FOLDS, length)
    (columns,) = (folded.max(axis=0) >= limit).nonzero()
    if len(columns) > length // 8:
        return np.asarray((flat >= limit).nonzero()[0])
    fold, among = np.divmod((folded.take(columns, axis=1) >= limit).reshape(-1).nonzero()[0], max(1, len(columns)))
    found = fold * length + columns.take(among)
    if flat.size == _FOLDS * length:
        return np.asarray(found)
    (rest,) = (flat[_FOLDS * length :] >= limit).nonzero()
    return np.concatenate([found, rest + _FOLDS * length])


def best_of_rows(rows: Array, values: Array) -> Array:
    """Indices, ascending, of each row's greatest value (its first, where several are); equal rows stand together.

    rows [2, 2, 5], values [1, 3, 2] -> [1, 2].
    """
    differ = rows[1:] != rows[:-1]
    if differ.all():
        return np.arange(len(rows))
    begins = np.empty(differ.sum() + 2, np.intp)  # of each group of equal rows, and the end
    begins[0], begins[1:-1], begins[-1] = 0, differ.nonzero()[0] + 1, len(rows)
    greatest = np.maximum.reduceat(values, begins[:-1])
    (best,) = (values == greatest.repeat(begins[1:] - begins[:-1])).nonzero()
    if len(best) == len(greatest):
        return np.asarray(best)
    return np.asarray(best[np.concatenate([[True], rows[best[1:]] != rows[best[:-1]]])])


def dequantise(values: Array, tensor: Tensor) -> Array:
    """Stored values -> float32 real values of the same shape."""
    if not tensor.scale:
        return np.asarray(values, np.float32)
    return (values.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)


def logit(p: float) -> float:
    """The inverse of sigmoid: 0.5 -> 0; -inf for 0 and below, +inf for 1 and above."""
    if p <= 0.0 or p >= 1.0:
        return -math.inf if p <= 0.0 else math.inf
    return math.log(p / (1.0 - p))


def sigmoid(x: Array) -> Array:
    """Logits -> 0..1, without overflow at either end."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), np.float32)
