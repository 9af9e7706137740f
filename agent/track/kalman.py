"""Where a box is and how fast it goes: a constant-velocity Kalman filter over all tracks at once, in seconds.

State of one track, in px and px/s:

    mean    (8,)    cx  cy  w  h | vx  vy  vw  vh
    spread  (3, 4)  variance of      cx  cy  w  h
                    covariance with  vx  vy  vw  vh
                    variance of      vx  vy  vw  vh

The textbook's (8, 8) covariance has only these 12 numbers: all four coordinates are measured, each with noise of its
own, so no coordinate ever learns from another, and four 2 x 2 filters side by side are the same filter without a
matrix inverse (the tests hold it against the matrix form).

The velocity is pushed by white noise (Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking, 2001,
6.2.2). Two steps of dt / 2 are exactly one step of dt: what is known of an object does not depend on the frame rate.
All noise is in units of the box's scale, the square root of its area: near objects move more px.
"""

from __future__ import annotations

import numpy as np

from agent.data import Array

_MEASURED = np.array([0.05, 0.05, 0.1, 0.1])  # sd of a detection: centre, size; scales
_PUSHED = np.array([0.6, 0.6, 0.2, 0.2])  # sd that a second adds to the velocity; scales/s per √s
_UNKNOWN = np.array([0.8, 0.8, 0.2, 0.2])  # sd of the velocity of a box seen once; scales/s
_BRIDGE = 4  # steps over a gap
_SMALLEST = 1.0  # px; no width or height is less


def scale(mean: Array) -> Array:
    """(N, 8) -> (N, 1) px: the square root of the box's area."""
    return np.asarray(np.sqrt(mean[:, 2:3] * mean[:, 3:4]))


def start(cxcywh: Array) -> tuple[Array, Array]:
    """States of boxes seen once: (N, 4) px -> mean (N, 8), spread (N, 3, 4)."""
    mean = np.concatenate([cxcywh, np.zeros_like(cxcywh)], axis=1)
    mean[:, 2:4] = np.maximum(mean[:, 2:4], _SMALLEST)
    size = scale(mean)
    variance = (size * _MEASURED) ** 2
    return mean, np.stack([variance, np.zeros_like(variance), (size * _UNKNOWN) ** 2], axis=1)


def predict(mean: Array, spread: Array, dt: Array) -> tuple[Array, Array]:
    """The states `dt` (N,) seconds later. A mean never turns inside out."""
    step = dt[:, None]
    pushed = (scale(mean) * _PUSHED) ** 2
    position, mixed, velocity = spread[:, 0], spread[:, 1], spread[:, 2]
    moved = mean.copy()
    moved[:, :4] += mean[:, 4:] * step
    moved[:, 2:4] = np.maximum(moved[:, 2:4], np.maximum(_SMALLEST, mean[:, 2:4] / 2))
    wider = np.empty_like(spread)
    wider[:, 0] = position + 2 * step * mixed + step**2 * velocity + pushed * step**3 / 3
    wider[:, 1] = mixed + step * velocity + pushed * step**2 / 2
    wider[:, 2] = velocity + pushed * step
    return moved, wider


def correct(mean: Array, spread: Array, cxcywh: Array) -> tuple[Array, Array]:
    """The states after their boxes (N, 4) px were measured."""
    position, mixed, velocity = spread[:, 0], spread[:, 1], spread[:, 2]
    total = position + (scale(mean) * _MEASURED) ** 2
    gain, velocity_gain = position / total, mixed / total
    surprise = cxcywh - mean[:, :4]
    corrected, narrower, rest = mean.copy(), np.empty_like(spread), 1 - gain
    corrected[:, :4] += gain * surprise
    corrected[:, 4:] += velocity_gain * surprise
    corrected[:, 2:4] = np.maximum(corrected[:, 2:4], _SMALLEST)
    narrower[:, 0], narrower[:, 1], narrower[:, 2] = rest * position, rest * mixed, velocity - velocity_gain * mixed
    return corrected, narrower


def bridge(state: tuple[Array, Array], seen_cxcywh: Array, cxcywh: Array, gap: Array) -> tuple[Array, Array]:
    """The states after a gap of (N,) seconds, as if the box had been seen on the straight way between.

    From the states (mean, spread) at the last detection `seen_cxcywh` (N, 4) px to the new one `cxcywh`, in equal
    steps: the observation-centric re-update of OC-SORT (Cao et al., CVPR 2023).
    """
    mean, spread = state
    for step in range(1, _BRIDGE + 1):
        mean, spread = predict(mean, spread, gap / _BRIDGE)
        mean, spread = correct(mean, spread, seen_cxcywh + (cxcywh - seen_cxcywh) * step / _BRIDGE)
    return mean, spread
