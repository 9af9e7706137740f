"""Which classes may be one object, and the vote."""

import numpy as np

from agent.track.kinds import SLOTS, Kinds, vote, winner

LABELS = ("person", "car", "truck", "bicycle", "motorcycle")
KINDS = Kinds((("car", "truck", "bus"), ("bicycle", "motorcycle")), LABELS)


def test_only_classes_of_one_group_are_alike() -> None:
    ids = np.arange(len(LABELS), dtype=np.int32)
    expected = [
        [1, 0, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 1, 1],
        [0, 0, 0, 1, 1],
    ]
    np.testing.assert_array_equal(KINDS.alike(ids, ids), np.array(expected, np.bool_))


def test_a_class_without_a_label_is_like_itself_only() -> None:
    ids = np.array([-1, 0, 1, 99, 100], np.int32)
    np.testing.assert_array_equal(KINDS.alike(ids, ids), np.eye(5, dtype=np.bool_))
    np.testing.assert_array_equal(Kinds((), ()).alike(ids, ids), np.eye(5, dtype=np.bool_))


def test_a_class_is_the_one_with_most_confidence_behind_it() -> None:
    candidates, votes = np.zeros((1, SLOTS), np.int32), np.zeros((1, SLOTS))
    for class_id, confidence in ((2, 0.9), (7, 0.5), (7, 0.5), (2, 0.3)):
        candidates, votes = vote(candidates, votes, np.array([class_id]), np.array([confidence]))
    assert winner(candidates, votes).tolist() == [2]
    candidates, votes = vote(candidates, votes, np.array([7]), np.array([0.9]))
    assert winner(candidates, votes).tolist() == [7]


def test_votes_are_bounded_and_the_winner_survives_a_crowd_of_classes() -> None:
    candidates, votes = np.zeros((1, SLOTS), np.int32), np.zeros((1, SLOTS))
    for n in range(100):
        candidates, votes = vote(candidates, votes, np.array([3]), np.array([0.9]))
        candidates, votes = vote(candidates, votes, np.array([10 + n]), np.array([0.8]))
    assert votes.shape == (1, SLOTS)
    assert winner(candidates, votes).tolist() == [3]
