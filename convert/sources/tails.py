"""What a YOLO's last convolutions mean, proven by running what comes after them.

A head ends in convolutions; the graph behind them, the tail, turns them into boxes and scores. Which of them is what
is guessed by channels and order, decoded here as each family's authors do it, and held against the tail's own answer
to random numbers. The guess that answers alike, to a thousandth, is right, whatever its nodes are called:

    dfl      per stride: box 4·R, logit C [, coefficients M | keypoints 3·K]    (1, 4 + C [+ M | + 3K], N)   v8 v9 11
    anchors  per stride: grid A·(5 + C)                                         (1, N, 5 + C)                v5 v7
    yolox    per stride: box 4, objectness 1, logit C                           (1, N, 5 + C)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from agent.data import Array
from agent.detect.outputs import sigmoid

_CLOSE = 1e-3  # greatest relative difference of a decode that is the tail's own
_SEED = 7
_TASKS = {None: ("yolo", "detect"), "keypoints": ("pose", "pose"), "coefficients": ("yolo_segment", "segment")}


@dataclass(frozen=True, slots=True)
class Conv:
    """The output tensor of one convolution."""

    name: str
    channels: int


@dataclass(frozen=True, slots=True)
class Level:
    """The convolutions of one stride, in the graph's order."""

    stride: int  # px per cell
    grid: tuple[int, int]  # (height, width) in cells
    convs: tuple[Conv, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """The graph behind the convolutions, as a function."""

    levels: tuple[Level, ...]  # finest first
    answer: Callable[[Mapping[str, Array]], Array]  # conv tensors (1, C, h, w) -> the tail's predictions
    prototypes: tuple[int, ...] | None = None  # shape (1, M, h, w) of the output that masks are made of


@dataclass(frozen=True, slots=True)
class Found:
    """A head, proven."""

    head: str
    task: str
    classes: int
    decode: dict[str, Any]
    outputs: tuple[tuple[str, str, int], ...]  # tensor, role, stride; finest stride first


@dataclass(frozen=True, slots=True, eq=False)
class _Guess:
    found: Found
    predict: Callable[[Mapping[str, Array]], list[Array]]  # conv tensors -> what the tail may answer, in each form


def identify(tail: Tail) -> Found | None:
    """The head that these convolutions are; None where no family answers as the tail does."""
    generator = np.random.default_rng(_SEED)
    heads = {c.name: _random(generator, c, level) for level in tail.levels for c in level.convs}
    actual = tail.answer(heads)
    for family in (_dfl, _yolox, _anchors):
        for guess in family(tail, actual.shape):
            if any(_same(answer, actual) for answer in guess.predict(heads)):
                return guess.found
    return None


def _random(generator: np.random.Generator, conv: Conv, level: Level) -> Array:
    return generator.normal(0, 1.5, (1, conv.channels, *level.grid)).astype(np.float32)


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool((np.abs(a - b) <= _CLOSE * (1 + np.abs(b))).all())


def _assignments(tail: Tail, roles: Sequence[str]) -> Iterator[list[dict[str, Conv]]]:
    """Every way to give the roles to each level's convolutions: the graph's order first, the same at all levels."""
    if any(len(level.convs) != len(roles) for level in tail.levels):
        return
    ordered = [level.convs for level in tail.levels]
    if len({tuple(c.channels for c in convs) for convs in ordered}) > 1:  # told apart by their channels then
        ordered = [tuple(sorted(convs, key=lambda c: c.channels)) for convs in ordered]
    if len({tuple(c.channels for c in convs) for convs in ordered}) > 1:
        return
    for order in permutations(range(len(roles))):
        yield [{role: convs[i] for role, i in zip(roles, order, strict=True)} for convs in ordered]


def _listed(tail: Tail, given: list[dict[str, Conv]]) -> tuple[tuple[str, str, int], ...]:
    """Tensor, role and stride of each."""
    pairs = zip(tail.levels, given, strict=True)
    return tuple((conv.name, role, level.stride) for level, roles in pairs for role, conv in roles.items())


def _cells(tail: Tail) -> tuple[Array, Array]:
    """Top-left corner (2, N) and stride (N,) of every cell, rows first, in cells and px."""
    corners, strides = [], []
    for level in tail.levels:
        rows, columns = np.mgrid[: level.grid[0], : level.grid[1]]
        corners.append(np.stack([columns.ravel(), rows.ravel()]))
        strides.append(np.full(rows.size, level.stride))
    return np.concatenate(corners, 1).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _flat(heads: Mapping[str, Array], given: list[dict[str, Conv]], role: str) -> Array:
    """One role's tensors of all levels as (C, N)."""
    return np.concatenate([heads[roles[role].name].reshape(roles[role].channels, -1) for roles in given], 1)


def _forms(rows: Array) -> list[Array]:
    """(F, N) as the (1, F, N) or (1, N, F) that a tail answers with."""
    return [rows[None], rows.T[None]]


def _dfl(tail: Tail, shape: tuple[int, ...]) -> Iterator[_Guess]:
    """Boxes as distances to the four sides, each the mean of a softmax over R bins (R = 1: the distance itself)."""
    extras = {2: (None,), 3: ("keypoints", "coefficients")}.get(len(tail.levels[0].convs), ())
    for extra in extras:
        for given in _assignments(tail, ("box", "logit", *([extra] if extra else []))):
            box, classes = given[0]["box"].channels, given[0]["logit"].channels
            more = given[0][extra].channels if extra else 0
            if box % 4 or 4 + classes + more not in shape[1:] or (extra == "keypoints" and more % 3):
                continue
            if extra == "coefficients" and (tail.prototypes is None or tail.prototypes[1] != more):
                continue
            bins = box // 4
            decode: dict[str, Any] = {"box": "dfl", "reg_max": bins}
            head, task = _TASKS[extra]
            if extra == "keypoints":
                decode["keypoints"] = more // 3
            found = Found(head, task, classes, decode, _listed(tail, given))

            def predict(
                heads: Mapping[str, Array], given: list[dict[str, Conv]] = given, extra: str | None = extra
            ) -> list[Array]:
                return _dfl_answers(tail, heads, given, extra)

            yield _Guess(found, predict)


def _dfl_answers(
    tail: Tail, heads: Mapping[str, Array], given: list[dict[str, Conv]], extra: str | None
) -> list[Array]:
    corners, strides = _cells(tail)
    bins = given[0]["box"].channels // 4
    weights = _flat(heads, given, "box").reshape(4, bins, -1)
    if bins > 1:
        weights = np.exp(weights - weights.max(1, keepdims=True))
        sides = (weights * np.arange(bins, dtype=np.float32)[:, None]).sum(1) / weights.sum(1)
    else:
        sides = weights[:, 0]
    low, high = corners + 0.5 - sides[:2], corners + 0.5 + sides[2:]
    rows = [sigmoid(_flat(heads, given, "logit"))]
    if extra == "coefficients":
        rows.append(_flat(heads, given, extra))
    elif extra:
        points = _flat(heads, given, extra).reshape(-1, 3, strides.size)
        xy = (points[:, :2] * 2 + corners) * strides
        rows.append(np.concatenate([xy, sigmoid(points[:, 2:])], 1).reshape(-1, strides.size))
    cxcywh = np.concatenate([(low + high) / 2, high - low]) * strides
    xyxy = np.concatenate([low, high]) * strides
    return [form for boxes in (cxcywh, xyxy) for form in _forms(np.concatenate([boxes, *rows]))]


def _yolox(tail: Tail, shape: tuple[int, ...]) -> Iterator[_Guess]:
    """Offsets and exponents; the tail decodes them, or leaves that to whoever reads it."""
    for given in _assignments(tail, ("box", "objectness", "logit")):
        classes = given[0]["logit"].channels
        if given[0]["box"].channels != 4 or given[0]["objectness"].channels != 1 or 5 + classes not in shape[1:]:
            continue
        found = Found("yolox", "detect", classes, {}, _listed(tail, given))

        def predict(heads: Mapping[str, Array], given: list[dict[str, Conv]] = given) -> list[Array]:
            corners, strides = _cells(tail)
            box = _flat(heads, given, "box")
            rows = [sigmoid(_flat(heads, given, role)) for role in ("objectness", "logit")]
            decoded = np.concatenate([(box[:2] + corners) * strides, np.exp(box[2:]) * strides])
            return [form for boxes in (box, decoded) for form in _forms(np.concatenate([boxes, *rows]))]

        yield _Guess(found, predict)


def _anchors(tail: Tail, shape: tuple[int, ...]) -> Iterator[_Guess]:
    """Several anchors a cell; their sizes are what the tail answers to zeros: (2 · sigmoid(0))² · anchor."""
    if any(len(level.convs) != 1 for level in tail.levels) or len(shape) != 3 or tail.prototypes:
        return
    columns, convs = shape[2], [level.convs[0] for level in tail.levels]
    if columns < 6 or any(c.channels % columns or c.channels != convs[0].channels for c in convs):
        return
    count = convs[0].channels // columns
    zeros = {c.name: np.zeros((1, c.channels, *v.grid), np.float32) for c, v in zip(convs, tail.levels, strict=True)}
    sizes, at, anchors = tail.answer(zeros)[0, :, 2:4], 0, []
    for level in tail.levels:
        cells = level.grid[0] * level.grid[1]
        block = sizes[at : at + count * cells].reshape(-1, cells, 2)
        if block.shape[0] != count:
            return
        anchors.append([[round(float(v), 4) for v in pair] for pair in block[:, 0]])
        at += count * cells
    outputs = tuple((c.name, "grid", level.stride) for c, level in zip(convs, tail.levels, strict=True))
    decode = {"box": "anchors", "anchors": anchors}
    found = Found("yolo", "detect", columns - 5, decode, outputs)

    def predict(heads: Mapping[str, Array]) -> list[Array]:
        parts = []
        for level, conv, sides in zip(tail.levels, convs, anchors, strict=True):
            s = sigmoid(heads[conv.name].reshape(count, columns, *level.grid))
            rows, cols = np.mgrid[: level.grid[0], : level.grid[1]]
            xy = (s[:, :2] * 2 - 0.5 + np.stack([cols, rows])) * level.stride
            wh = (s[:, 2:4] * 2) ** 2 * np.array(sides, np.float32)[:, :, None, None]
            whole = np.concatenate([xy, wh, s[:, 4:]], 1)  # (A, F, h, w)
            parts.append(whole.transpose(0, 2, 3, 1).reshape(-1, columns))
        return [np.concatenate(parts)[None].astype(np.float32)]

    yield _Guess(found, predict)
