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

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from agent.data import Array

_Pair = tuple[int, int]  # row, column
_HEADING = 0.2  # at most this is added to the gain of a detection that lies where the track was heading
_PAIRED = 1.0  # in the gain of every pair: two poor pairs before one good one and a track that is left over


def buffered_iou(xyxy: Array, buffer: Array, other_xyxy: Array) -> Array:
    """IoU of every pair after both boxes grew by the first one's buffer: (N, 4), (N, 2) px, (M, 4) -> (N, M).

    `buffer` is added on every side: x to left and right, y to top and bottom.
    """
    grow = np.concatenate([-buffer, buffer], axis=1)[:, None]  # (N, 1, 4)
    a, b = xyxy[:, None] + grow, other_xyxy[None] + grow  # (N, 1, 4), (N, M, 4)
    side = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0)
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
    rows, columns = (likeness >= min(least for _, _, least in turns)).nonzero()
    values = likeness[rows, columns].tolist(), gain[rows, columns].tolist()
    edges = list(zip(rows.tolist(), columns.tolist(), *values, strict=True))
    made: list[_Pair] = []
    for row_takes_part, column_takes_part, least in turns:
        if not edges:
            break
        is_row, is_column = row_takes_part.tolist(), column_takes_part.tolist()
        here = {(r, c): max(g, 1e-6) for r, c, like, g in edges if like >= least and is_row[r] and is_column[c]}
        pairs = _paired(here)
        made += pairs
        paired_rows, paired_columns = {r for r, _ in pairs}, {c for _, c in pairs}
        edges = [edge for edge in edges if edge[0] not in paired_rows and edge[1] not in paired_columns]
    return np.array(made, np.intp).reshape(-1, 2)


def pair(gain: Array) -> Array:
    """The pairs (K, 2) with the greatest total gain; only pairs with gain (N, M) > 0 are made."""
    rows, columns = (gain > 0).nonzero()
    wanted = zip(rows.tolist(), columns.tolist(), strict=True)
    return np.array(_paired(dict(zip(wanted, gain[rows, columns].tolist(), strict=True))), np.intp).reshape(-1, 2)


def _paired(gain: Mapping[_Pair, float]) -> list[_Pair]:
    """The pairs with the greatest total gain, by row, of those that may be made.

    In plain Python: few pairs may be, and a call of numpy costs as much as looking at twenty of them.
    """
    of_row, of_column = Counter(r for r, _ in gain), Counter(c for _, c in gain)
    alone = [(r, c) for r, c in gain if of_row[r] == 1 and of_column[c] == 1]
    if len(alone) == len(gain):
        return sorted(alone)
    rows = sorted(of_row.keys() - {r for r, _ in alone})
    columns = sorted(of_column.keys() - {c for _, c in alone})
    flip = len(rows) > len(columns)
    if flip:
        cost = [[-gain.get((r, c), 0.0) for r in rows] for c in columns]
        found = [(rows[other], columns[one]) for one, other in enumerate(_shortest_paths(cost))]
    else:
        cost = [[-gain.get((r, c), 0.0) for c in columns] for r in rows]
        found = [(rows[one], columns[other]) for one, other in enumerate(_shortest_paths(cost))]
    return sorted(alone + [pair for pair in found if pair in gain])


def _shortest_paths(cost: Sequence[Sequence[float]]) -> list[int]:
    """The column of each row in a cheapest assignment of N rows of M costs, N <= M.

    Row by row along shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987), O(N²M).
    """
    n, m = len(cost), len(cost[0])
    column_of, row_of = [-1] * n, [-1] * m
    row_price, column_price = [0.0] * n, [0.0] * m
    for row in range(n):
        distance, came_from, left = [math.inf] * m, [-1] * m, list(range(m))
        at, reached, column = row, 0.0, -1
        while column < 0 or row_of[column] >= 0:  # until a free column is reached
            costs, price = cost[at], row_price[at]
            for c in left:
                through = reached + costs[c] - price - column_price[c]
                if through < distance[c]:
                    distance[c], came_from[c] = through, at
            column = min(left, key=distance.__getitem__)
            reached, at = distance[column], row_of[column]
            left.remove(column)
        row_price[row] += reached
        for c in set(range(m)).difference(left):
            if row_of[c] >= 0:
                row_price[row_of[c]] += reached - distance[c]
                column_price[c] -= reached - distance[c]
        while column >= 0:  # every row on the path moves on by one column
            at = came_from[column]
            row_of[column] = at
            column, column_of[at] = column_of[at], column
    return column_of
