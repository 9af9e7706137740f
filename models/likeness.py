"""Names and their pictures -> how well vectors of them tell one from another: verification, and search in a gallery.

Who is judged was never learned: identities, not pictures, are held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent.cli.detect import read_image
from agent.data import Array
from agent.detect.secondary import pairs
from agent.detect.secondary.embedding import Embedding
from convert import ConvertError
from models import backbones, pictures
from models.augment import Augment
from models.pictures import Pictures
from models.training import Data

LEAST = 3  # pictures of a name to learn from: one says nothing of how it may look
VIEWS = 5  # changed copies of each picture, besides itself, that say how one name may look
SHRINK = 0.3  # share by which the covariance within names is made even, as it is known from few pictures only
_PIXELS = (16, 16)


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """What vectors are worth on names that were never learned."""

    equal: float  # equal error rate of all pairs
    pairs: tuple[int, int]  # of one name, of two
    recall: tuple[float, float]  # share whose name is the first, is among the first five; nan without a gallery


def read(data: Path, seed: int) -> tuple[Pictures, Pictures]:
    """(to learn from, to judge by), no name in both. Raises ConvertError.

    DATA/train/NAME and DATA/test/NAME where these share no name; else a fifth of all names is held out, with all
    their pictures.
    """
    inner = [data / "train", data / "test"]
    parts = [pictures.folders(p, LEAST) for p in inner] if all(p.is_dir() for p in inner) else []
    if parts and not set(parts[0].names) & set(parts[1].names):
        return parts[0], parts[1]
    every = joined(parts or [pictures.folders(data, LEAST)])
    if len(every.names) < 4:
        raise ConvertError(
            f"data {data}: {len(every.names)} names; two to learn from and two to judge by are the least"
        )
    order = np.random.default_rng(seed).permutation(len(every.names))
    held = order[: max(2, round(pictures.HELD * len(order)))]
    is_held = np.isin(every.labels, held)
    return renumbered(every[np.flatnonzero(~is_held)]), renumbered(every[np.flatnonzero(is_held)])


def joined(parts: Sequence[Pictures]) -> Pictures:
    """All their pictures; a name of several is one name."""
    names = tuple(sorted({name for part in parts for name in part.names}))
    labels = [names.index(part.names[label]) for part in parts for label in part.labels]
    return Pictures(tuple(path for part in parts for path in part.paths), np.array(labels, np.int64), names)


def renumbered(some: Pictures) -> Pictures:
    """The same without the names that have no picture."""
    used, labels = np.unique(some.labels, return_inverse=True)
    return Pictures(some.paths, labels, tuple(some.names[i] for i in used))


def tapped(trunk: Any, cut: str) -> Any:
    """ "LAYER:CELLS" or "LAYER" -> its answer, averaged to so many cells a side, one without a number. Flat."""
    from keras import layers  # noqa: PLC0415

    name, _, cells = cut.partition(":")
    grid = backbones.layer_of(trunk, name).output
    if not (cells or "1").isdigit() or not 1 <= int(cells or "1") <= min(grid.shape[1:3]):
        raise ConvertError(f"--cut {cut}: {grid.shape[2]} x {grid.shape[1]} cells are there")
    step = tuple(side // int(cells or "1") for side in grid.shape[1:3])
    return layers.Flatten()(layers.AveragePooling2D(step)(grid))


def whiten(raw: Any, embedder: Any, learned: Data, change: Augment, seed: int) -> Array:
    """Set the embedder's last layer by what pictures of one name have in common; (names, D), where each name lies."""
    generator = np.random.default_rng(seed)
    views = [learned.x, *(change(generator, learned.x, learned.y)[0] for _ in range(VIEWS))]
    features = np.concatenate([raw.predict(view.astype(np.float32), batch_size=64, verbose=0) for view in views])
    last, labels = embedder.get_layer("vector"), np.tile(learned.y, len(views))
    matrix, bias = whitening(features, labels, last.units, seed)
    last.set_weights([matrix, bias])
    return np.stack([(features[labels == i] @ matrix + bias).mean(axis=0) for i in np.unique(labels)])


def whitening(features: Array, labels: Array, numbers: int, seed: int) -> tuple[Array, Array]:
    """Matrix (C, numbers) and bias (numbers,): features in which pictures of one name differ alike in each direction.

    Within-class covariance normalisation (Hatch, Kajarekar and Stolcke, 2006) of the directions of greatest spread, so
    many as numbers are wanted. They are turned at random at last: so all numbers have the same range, which suits int8,
    and there may be more of them than directions. Of features (N, C) float32 and labels (N,).
    """
    centre = features.mean(axis=0, dtype=np.float64)
    _, lengths, axes = np.linalg.svd(features - centre, full_matrices=False)
    main = axes[:numbers][lengths[:numbers] > 1e-4 * lengths[0]].T  # (C, K)
    seen = (features - centre) @ main
    names, row = np.unique(labels, return_inverse=True)
    means = np.stack([seen[row == i].mean(axis=0) for i in range(len(names))])
    within = (seen - means[row]).T @ (seen - means[row]) / max(1, len(seen) - len(names))
    level = np.eye(len(within)) * np.trace(within) / len(within)
    spread, axes = np.linalg.eigh((1 - SHRINK) * within + SHRINK * level)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(numbers, len(within))))
    matrix = main @ (axes / np.sqrt(spread)) @ turn.T
    return np.asarray(matrix, np.float32), np.asarray(-centre @ matrix, np.float32)


def worth(held: Pictures, vectors: Array, gallery: Pictures | None = None, known: Array | None = None) -> Worth:
    """Of vectors (N, D) of length 1 of the pictures held out, and (G, D) of a gallery's."""
    names = [held.names[label] for label in held.labels]
    same, different = pairs.cosines(vectors, names)
    verdict = pairs.judged(same, different, 1.0)
    found = (float("nan"), float("nan"))
    if gallery is not None and known is not None:
        theirs = [gallery.names[label] for label in gallery.labels]
        found = recall(vectors, names, known, theirs, 1), recall(vectors, names, known, theirs, 5)
    return Worth(verdict.equal, (verdict.same, verdict.different), found)


def recall(vectors: Array, names: list[str], known: Array, known_names: list[str], first: int) -> float:
    """Share of pictures whose name is among those of the `first` most alike."""
    nearest = np.argsort(-(vectors @ known.T), axis=1)[:, :first]
    return float(np.mean([name in {known_names[k] for k in row} for name, row in zip(names, nearest, strict=True)]))


def by_file(model: Path, paths: Sequence[Path]) -> Array:
    """(N, D) of an int8 embedder, as the agent runs it."""
    embedding = Embedding(model)
    return np.stack([embedding.vector(read_image(path)) for path in paths])


def by_net(model: Any, x: Array, mirror: bool = False) -> Array:
    """(N, D) of length 1, of a Keras model; `mirror`: of each picture and its mirror image together."""
    vectors = _units(model.predict(x.astype(np.float32), batch_size=64, verbose=0))
    return _units(vectors + by_net(model, x[:, :, ::-1])) if mirror else vectors


def _units(vectors: Array) -> Array:
    """(N, D) -> each of length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def mirrored(learned: Data, names: int) -> Data:
    """Each picture's mirror image besides, under a name of its own: twice as many `names` to tell apart."""
    return Data(np.concatenate([learned.x, learned.x[:, :, ::-1]]), np.concatenate([learned.y, learned.y + names]))


def by_pixels(paths: Sequence[Path]) -> Array:
    """(N, 256): grey at 16 x 16, mean off, length 1."""
    return np.stack([pixels(read_image(path)) for path in paths])


def pixels(image: Array) -> Array:
    """(H, W, 3) uint8 RGB -> (256,)."""
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), _PIXELS, interpolation=cv2.INTER_AREA).reshape(-1)
    centred = grey - grey.mean()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-6), np.float32)
