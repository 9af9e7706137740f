"""Which detection is which track: how alike they are, and the best way to pair them all.

Plain IoU asks "do they overlap", which at a low frame rate nothing does. Here both boxes first grow by the track's own
uncertainty (C-BIoU, Yang et al., WACV 2023, but with the buffer from the filter): little for an old friend at 30 fps,
much for something seen once half a second ago.

           ┌ ─ ─ ─ ─ ┐                   track as predicted ┌──┐, detection ┏━━┓:
             ┌──┐    ┌─│─ ─ ─ ┐          no overlap,
           │ │  │    │ ┏━━┓               but their buffers meet
             └──┘    └─│┗━━┛─ ┘
           └ ─ ─ ─ ─ ┘
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.data import Array

_HEADING = 0.2  # at most this is added to the gain of a detection that lies where the track was heading
_PAIRED = 1.0  # in the gain of every pair: two poor pairs before one good one and a track that is left over


def buffered_iou(xyxy: Array, buffer: Array, other_xyxy: Array) -> Array:
    """IoU of every pair after both boxes grew by the first one's buffer: (N, 4), (N, 2) px, (M, 4) -> (N, M).

    `buffer` is added on every side: x to left and right, y to top and bottom.
    """
    grow = np.concatenate([-buffer, buffer], axis=1)[:, None]  # (N, 1, 4)
    a, b = xyxy[:, None] + grow, other_xyxy[None] + grow  # (N, 1, 4), (N, M, 4)
    side = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    overlap = side[..., 0] * side[..., 1]
    a_side, b_side = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    union = a_side[..., 0] * a_side[..., 1] + b_side[..., 0] * b_side[..., 1] - overlap
    return np.asarray(np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0))


def heading(seen_xy: Array, velocity: Array, velocity_sd: Array, size: Array, xy: Array) -> Array:
    """-1..1: does the way from where a track was seen to a detection agree with its velocity?

    seen_xy, velocity (N, 2), velocity_sd, size (N,), xy (M, 2) -> (N, M).

    Near 0 where the velocity is small against its own uncertainty or the way is short against the box: both are noise.
    """
    way = xy[None] - seen_xy[:, None]
    length = np.hypot(way[..., 0], way[..., 1])
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    cosine = (way * velocity[:, None]).sum(axis=2) / np.maximum(length * speed[:, None], 1e-9)
    trust = speed / np.maximum(speed + velocity_sd, 1e-9)
    return np.asarray(cosine * trust[:, None] * np.minimum(1, length / (0.3 * size[:, None])))


def bonus(known: Array, spread: Array, xy: Array) -> Array:
    """What is added to the likeness of tracks `known` (N,), as the table has them, and detections at `xy`: (N, M)."""
    velocity_sd, size = np.sqrt(spread[:, 2, 0]), np.sqrt(known["mean"][:, 2] * known["mean"][:, 3])
    return _PAIRED + _HEADING * heading(known["mean"][:, :2], known["mean"][:, 4:6], velocity_sd, size, xy)


def in_turns(likeness: Array, gain: Array, turns: Sequence[tuple[Array, Array, float]]) -> Array:
    """Pairs (K, 2) made turn by turn, each among what the turns before it left over.

    A turn says which rows (N,) bool and which columns (M,) bool take part, and the least likeness (N, M) of a pair.
    """
    rows_left, columns_left = np.ones(likeness.shape[0], np.bool_), np.ones(likeness.shape[1], np.bool_)
    made = [np.zeros((0, 2), np.intp)]
    for rows, columns, least in turns:
        r, c = np.flatnonzero(rows & rows_left), np.flatnonzero(columns & columns_left)
        if len(r) == 0 or len(c) == 0:
            continue
        here = np.ix_(r, c)
        found = pair(np.where(likeness[here] >= least, np.maximum(gain[here], 1e-6), 0))
        pairs = np.stack([r[found[:, 0]], c[found[:, 1]]], axis=1)
        rows_left[pairs[:, 0]], columns_left[pairs[:, 1]] = False, False
        made.append(pairs)
    return np.concatenate(made)


def pair(gain: Array) -> Array:
    """The pairs (K, 2) with the greatest total gain; only pairs with gain (N, M) > 0 are made."""
    wanted = gain > 0
    alone = wanted & (wanted.sum(axis=1, keepdims=True) == 1) & (wanted.sum(axis=0, keepdims=True) == 1)
    pairs = np.argwhere(alone)
    wanted[pairs[:, 0]] = False
    rows, columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
    if len(rows) == 0:
        return pairs
    matrix = gain[np.ix_(rows, columns)]
    flip = len(rows) > len(columns)
    found = _shortest_paths(np.where(matrix > 0, -matrix, 0.0).T if flip else np.where(matrix > 0, -matrix, 0.0))
    r, c = (found, np.arange(len(columns))) if flip else (np.arange(len(rows)), found)
    good = matrix[r, c] > 0
    pairs = np.concatenate([pairs, np.stack([rows[r[good]], columns[c[good]]], axis=1)])
    return pairs[np.argsort(pairs[:, 0], kind="stable")]


def _shortest_paths(cost: Array) -> Array:
    """The column of each row (N,) in a cheapest assignment of (N, M) costs, N <= M.

    Row by row along shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987), O(N²M).
    """
    n, m = cost.shape
    column_of, row_of = np.full(n, -1), np.full(m, -1)
    row_price, column_price = np.zeros(n), np.zeros(m)
    for row in range(n):
        distance, came_from, done = np.full(m, np.inf), np.full(m, -1), np.zeros(m, np.bool_)
        at, reached, column = row, 0.0, -1
        while column < 0 or row_of[column] >= 0:  # until a free column is reached
            through = reached + cost[at] - row_price[at] - column_price
            better = ~done & (through < distance)
            distance[better], came_from[better] = through[better], at
            column = int(np.where(done, np.inf, distance).argmin())
            reached, at = distance[column], row_of[column]
            done[column] = True
        row_price[row] += reached
        inner = done & (row_of >= 0)
        row_price[row_of[inner]] += reached - distance[inner]
        column_price[inner] -= reached - distance[inner]
        while column >= 0:  # every row on the path moves on by one column
            at = came_from[column]
            row_of[column] = at
            column, column_of[at] = column_of[at], column
    return column_of
