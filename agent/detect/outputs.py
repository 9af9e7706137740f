"""Raw output tensors of a model, for the heads: found by role, thresholded while still quantised, dequantised.

A quantised value q stands for the real value (q - zero_point) · scale. Thresholds are turned into q once, so that
a frame's hundred thousand scores are compared as bytes and only the survivors ever become floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agent.data import Array
from agent.modelfile import Card, ModelError, Tensor


def find(card: Card, outputs: Sequence[Tensor], role: str) -> int:
    """Index of the output that plays a role in the card: by its name there, else by its shape.

    Raises ModelError where the card knows no such role, or no output, or more than one, is it.
    """
    described = [o for o in card.outputs if o.role == role]
    if len(described) != 1:
        known = ", ".join(o.role for o in card.outputs) or "none"
        raise ModelError(f"model card: head {card.head!r} needs one output with role {role!r}; the card has: {known}")
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


def passing(values: Array, least: float) -> Array:
    """Flat indices of the stored values that are `least` (from `lowest`) or more."""
    flat = values.reshape(-1)
    if least == math.inf:
        return np.zeros(0, np.intp)
    if least == -math.inf:
        return np.arange(flat.size)
    return np.flatnonzero(flat >= flat.dtype.type(least))


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
