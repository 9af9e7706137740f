"""What kind of thing a track is: which classes may be one object, and the vote on which it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.data import Array

_GROUP = 1 << 32  # beyond all class ids (int32)
SLOTS = 4  # classes a track can have votes for; the weakest gives way to a new one


class Kinds:
    """Classes that a detector takes for one another, by their labels: only these may ever be one object."""

    def __init__(self, alike: Sequence[Sequence[str]], labels: Sequence[str]) -> None:
        """`labels` in order of class id; a class without a label, or in no group of `alike`, is like itself only."""
        group_of = {label: group for group, names in enumerate(alike) for label in names}
        groups = [group_of.get(label, -1) for label in labels]
        self._keys = np.array([n if group < 0 else group + _GROUP for n, group in enumerate(groups)], np.int64)

    def alike(self, class_id: Array, other_class_id: Array) -> Array:
        """Which pairs may be one object: (N,), (M,) -> (N, M) bool."""
        return np.asarray(self._key(class_id)[:, None] == self._key(other_class_id)[None])

    def _key(self, class_id: Array) -> Array:
        """One number a group; a class in no group keeps its own."""
        is_known = (class_id >= 0) & (class_id < len(self._keys))
        if is_known.all():
            return np.asarray(self._keys[class_id])
        key = class_id.astype(np.int64)
        key[is_known] = self._keys[class_id[is_known]]
        return key


def vote(candidates: Array, votes: Array, class_id: Array, confidence: Array) -> tuple[Array, Array]:
    """Each track's new detection votes for its class, with its confidence as weight.

    candidates (N, SLOTS) int32 class ids, votes (N, SLOTS) their weights; class_id, confidence (N,) -> both anew.
    A class that has no slot yet takes the one with the least weight: for a new class that is an empty one.
    """
    rows = np.arange(len(class_id))
    same = (candidates == class_id[:, None]) & (votes > 0)
    slot = np.where(same.any(axis=1), same.argmax(axis=1), votes.argmin(axis=1))
    candidates, votes = candidates.copy(), votes.copy()
    votes[rows, slot] = np.where(same.any(axis=1), votes[rows, slot], 0) + confidence
    candidates[rows, slot] = class_id
    return candidates, votes


def winner(candidates: Array, votes: Array) -> Array:
    """The class with most votes: (N, SLOTS), (N, SLOTS) -> (N,). The first to have come wins a tie."""
    return np.asarray(candidates[np.arange(len(votes)), votes.argmax(axis=1)])
