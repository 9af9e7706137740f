"""Patches of normal pictures -> a memory: whitened, thinned out, and its own distances measured on held-out pictures.

Held out: the pictures, as they are sorted, are cut into FOLDS runs of neighbours (frames of a video look like those
beside them, so single ones would not be held out at all); each run is measured by a memory of the others.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from agent.data import Array
from agent.detect.secondary.memory import Memory, nearest, strongest

FOLDS = 4
MARGIN = 1.25
_SPREADS = 1.0  # a limit is never lower
_PATCHES = 24_000  # that are thinned out; of more, so many are drawn
_RIDGE = 0.3  # of the mean variance, added to each direction's: what hardly varies is not blown up
_LOOK = 48  # dimensions in which the thinning measures distances, a random projection as in PatchCore
_ALIKE = 0.01  # of the variance from place to place: where normal pictures differ by less, that much counts
_FLOOR = 0.1  # of the mean spread, added to each, and
_LEAST = 0.02  # of the mean distance, where all normal pictures are one


def fit(patches: Array, vectors: int, seed: int, runs: int = 1) -> tuple[Memory, Array]:
    """(N, h, w, C) float32 of N normal pictures -> the memory, and (N,) how strange each was to the others'.

    Each `runs` in a row are of one picture and never held out from one another. Same input, same memory. There must be
    at least FOLDS pictures.
    """
    count, _, _, channels = patches.shape
    centre = patches.reshape(-1, channels).mean(axis=0)
    whiten = _whitening(patches)
    white = ((patches - centre) @ whiten.astype(np.float32)).astype(np.float32)
    fold = np.arange(count) // runs * runs * FOLDS // count
    apart = np.empty(patches.shape[:3], np.float32)
    for k in range(FOLDS):
        known = thinned(white[fold != k].reshape(-1, white.shape[3]), vectors * (FOLDS - 1) // FOLDS, seed)
        for i in np.flatnonzero(fold == k):
            apart[i] = nearest(white[i].reshape(-1, white.shape[3]), known).reshape(apart.shape[1:])
    usual = _usual(apart, runs)
    known = thinned(white.reshape(-1, white.shape[3]), vectors, seed)
    memory = Memory(centre.astype(np.float32), whiten, known.astype(np.float16), usual)
    return memory, np.array([strongest((one - usual[0]) / usual[1]) for one in apart])


def limit_of(scores: Array, rate: float) -> float:
    """Beyond it lies a share `rate` of normal pictures at most: their quantile, or where it would be if they were
    normally distributed, whichever is higher (few pictures do not show their tail), and MARGIN: another day is still
    less like them than they are like each other."""
    spread = max(float(scores.std(ddof=1)), 0.05)
    guessed = float(scores.mean()) + NormalDist().inv_cdf(1 - rate) * spread
    return MARGIN * max(float(np.quantile(scores, 1 - rate)), guessed, _SPREADS)


def at_most(beyond: int, count: int) -> float:
    """The share of pictures that may be beyond, with 95 % confidence, where `beyond` of `count` were (Wilson)."""
    z, share = 1.645, beyond / count
    middle = share + z * z / (2 * count)
    return (middle + z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))) / (1 + z * z / count)


def thinned(points: Array, count: int, seed: int) -> Array:
    """Greedy k-centre: each is the one farthest from those chosen. (N, D) -> (min(count, N), D)."""
    generator = np.random.default_rng(seed)
    if len(points) > _PATCHES:
        points = points[np.sort(generator.choice(len(points), _PATCHES, replace=False))]
    wide = points.shape[1]
    seen = points
    if wide > _LOOK:
        seen = points @ (generator.standard_normal((wide, _LOOK)).astype(np.float32) / math.sqrt(_LOOK))
    squares, apart = (seen * seen).sum(axis=1), np.full(len(seen), np.inf, np.float32)
    chosen = [int(generator.integers(len(seen)))]
    while len(chosen) < min(count, len(seen)):
        last = chosen[-1]
        apart = np.minimum(apart, squares + squares[last] - 2 * (seen @ seen[last]))
        apart[last] = -np.inf
        chosen.append(int(apart.argmax()))
    return np.asarray(points[chosen])


def _whitening(patches: Array) -> Array:
    """(N, h, w, C) -> (C, C) float16: after it what differs from picture to picture at one place has spread 1 in every
    direction, or less where it hardly differs; what differs from place to place is normal anyway (the covariance is
    PaDiM's, Defard et al., 2020, one for all places)."""
    channels = patches.shape[3]
    values, vectors = np.linalg.eigh(np.cov((patches - patches.mean(axis=0)).reshape(-1, channels), rowvar=False))
    least = max(_ALIKE * float(patches.reshape(-1, channels).var(axis=0).mean()), 1e-6)
    scale = np.sqrt(np.maximum(values, 0) + _RIDGE * max(float(values.mean()), least))
    return np.asarray(vectors / scale, np.float16)


def _usual(apart: Array, runs: int) -> Array:
    """(N, h, w) distances, `runs` in a row of one picture -> (2, h, w) float32: mean and spread at each place."""
    mean = _shrunk(apart, runs)
    spread = np.sqrt(_shrunk((apart - mean) ** 2, runs))
    return np.stack([mean, spread + _FLOOR * spread.mean() + _LEAST * max(float(mean.mean()), 1e-3)]).astype(np.float32)


def _shrunk(values: Array, runs: int) -> Array:
    """(N, h, w) -> (h, w): the mean at each place, drawn towards that of all places by as much of the variance between
    them as chance alone would make (empirical Bayes: James and Stein, 1961; Efron and Morris, 1975)."""
    single = values.reshape(-1, runs, *values.shape[1:]).mean(axis=1)  # lights of one picture are no further evidence
    places = single.mean(axis=0)
    chance = float(single.var(axis=0, ddof=1).mean()) / len(single)
    whole, apart = float(places.mean()), float(places.var())
    return np.asarray(whole + max(apart - chance, 0.0) / max(apart, 1e-12) * (places - whole))
