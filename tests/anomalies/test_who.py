"""How strange a track is: what it was like of late, against what tracks like it were, in a spell of so many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.anomalies.normality.habits import Habit
from agent.anomalies.normality.likeness import WIDE
from agent.anomalies.normality.many import Many
from agent.anomalies.normality.spells import Spells, share
from agent.anomalies.normality.tails import Tail
from agent.anomalies.normality.traits import HOUR, SPEED, Traits
from agent.anomalies.normality.walks import Walks
from agent.anomalies.normality.who import JUMPS, LIKE, STAYS, Who
from agent.data import Array, Tracks

SIZE = (160, 90)


def tracks(ids: list[int], feet: list[tuple[float, float]], velocity: tuple[float, float]) -> Tracks:
    n = len(ids)
    xyxy = np.array([[x - 4, y - 16, x + 4, y] for x, y in feet], np.float32)
    return Tracks(
        np.array(ids, np.int64), xyxy, np.tile(np.float32(velocity), (n, 1)), np.full(n, 0.9, np.float32),
        np.zeros(n, np.int32), np.ones(n, np.float32), np.zeros(n, np.float32), np.full(n, -1, np.int32),
    )  # fmt: skip


@pytest.mark.parametrize("fps", [2, 5, 15])
def test_a_distance_is_believed_after_half_a_second_and_not_before(fps: int) -> None:
    walks = Walks(WIDE)
    _, rows = walks.rows(np.array([7]), 0.0)
    early, _ = walks.gather(rows, np.array([2.0]), 0.1)
    assert early[0] < 1.0
    for k in range(1, fps // 2 + 2):
        mean, _ = walks.gather(rows, np.array([2.0]), 0.1 + k / fps)
    assert mean[0] == pytest.approx(2.0)


@pytest.mark.parametrize(("age", "is_known"), [(0.5, False), (1.2, True)])
def test_who_is_looked_at_late_is_as_fast_as_the_tracker_says(age: float, is_known: bool) -> None:
    late = replace(tracks([5], [(60.0, 40.0)], (80.0, 0.0)), age=np.full(1, age, np.float32))
    speed = Who(1.0).look(late, SIZE, 0.0, 0).seen.values[0, SPEED]
    assert speed == pytest.approx(0.5 if is_known else 0.0)


def test_frames_of_which_nothing_is_known_move_no_mean() -> None:
    walks = Walks(WIDE)
    _, rows = walks.rows(np.array([7]), 0.0)
    before, _ = walks.gather(rows, np.array([1.5]), 1.0)
    after, passed = walks.gather(rows, np.array([np.nan]), 1.5)
    assert after == before
    assert passed[0] == pytest.approx(0.5)


def far_from_all(who: Who) -> dict[int, Array]:
    """The most there was of one who walks (5) and of what jumps (-5), both where nothing is known."""
    dice = np.random.default_rng(0)
    known = np.zeros((200, WIDE), np.float32)
    known[:, :2] = dice.uniform(0, 1, (200, 2))
    who.like.learn(known, 0.0)
    for k in range(5):
        feet = [(30.0 + 10 * k, 40.0), (30.0 + 10 * k, 80.0)]
        who.look(tracks([5, -5], feet, (20.0, 0.0)), SIZE, 0.5 * k, 0)
    _, rows = who.walks.rows(np.array([5, -5]), 2.5)
    return dict(zip((5, -5), who.walks.most[rows], strict=True))


def test_who_walks_and_what_jumps_are_each_compared_with_their_like() -> None:
    most = far_from_all(Who(1.0))
    assert most[5][LIKE] > 1
    assert most[5][JUMPS] == 0
    assert most[-5][JUMPS] > 1
    assert most[-5][LIKE] == 0


def test_before_there_are_spells_the_same_is_less_strange_the_more_tracks_a_spell_has() -> None:
    calm, busy = Who(1.0), Who(1.0)
    for who, days in ((calm, 1.0), (busy, 0.01)):
        for _ in range(30):
            who.tails.add(np.full(3, 0.2))
        who.refresh(days)
    strange = np.array([[2.0]])
    assert busy.spells.tails.rarity(strange)[0, 0] < calm.spells.tails.rarity(strange)[0, 0]


def test_a_frame_without_anybody_is_judged_to_be_nothing() -> None:
    judged = Who(1.0).look(Tracks.empty(), SIZE, 0.0, 0)
    assert len(judged.row) == len(judged.strange) == len(judged.seen.row) == 0


def test_a_stay_where_nobody_stayed_is_about_as_rare_as_it_is_elsewhere() -> None:
    stays = Habit((3, 6), 16, "least")
    stays.counts[:, :, 0] = 100  # passed each place, and of all of them
    stays.counts[0, 0, 1:5], stays.counts[0, 0, 5:7] = 45, 4  # 2.5 % stayed for 8 s, and few for longer, all at one
    stays.refresh()
    here, there = stays.surprise[0, 0], stays.surprise[2, 5]
    assert here[4] < 1.0 < 1.6 < there[4] < 3.0
    for one in (here, there):
        assert (np.diff(one) >= 0).all()
        assert one[9] > one[6]  # who stays for longer than anybody did is the stranger for it


def test_of_longer_stays_than_anybody_had_as_few_are_expected_as_the_last_showed() -> None:
    def beyond(*reached: float) -> Array:
        stays = Habit((1, 1), 16, "least")
        stays.counts[0, 0, : len(reached)] = reached
        stays.refresh()
        return np.diff(stays.surprise[0, 0])[len(reached) :]

    np.testing.assert_allclose(beyond(1000, 100, 10)[:6], 1.0, atol=0.05)  # a tenth goes on each time
    np.testing.assert_allclose(beyond(1000)[:6], np.log10(2), atol=0.01)  # nobody has shown anything


def test_who_walks_by_is_no_stay_and_who_stands_is_one() -> None:
    who, most = Who(1.0), []
    for k in range(8):
        who.look(tracks([5], [(60.0, 40.0)], (0.0, 0.0)), SIZE, float(k), 0)
        who.known(SIZE).refresh()
        most.append(float(who.walks.most[who.walks.rows(np.array([5]), float(k))[1][0], STAYS]))
    assert max(most[:4]) == 0
    assert min(most[4:]) > 0


def test_one_in_the_whole_picture_is_no_number_but_one_in_a_zone_and_three_are() -> None:
    def last(count: tuple[int, int]) -> Array:
        many = Many(2, 1.0)
        for minute in range(300):
            many.look(np.array([0, 0]), 60.0 * minute, 1e5, 3)
        return [many.look(np.array(count), 18_000.0 + k, 1e5, 3) for k in range(30)][-1]

    assert last((0, 1))[1] == 0
    assert last((1, 1))[0] > 0
    assert last((0, 3))[1] > 0


def test_stays_that_are_all_alike_make_none_a_little_longer_an_alarm() -> None:
    who = Who(1.0)
    for k in range(100):
        who.tails.add(np.array([0.2, 0.0, 0.3 + 0.001 * k]))
    who.refresh(1.0)
    assert who.tails.rarity(np.array([[0.0, 0.0, 1.4]]))[0, 2] < 2.1  # one power of ten more is one power of ten


def test_one_jump_is_nothing_yet_and_two_are() -> None:
    who, known = Who(1.0), np.zeros((200, WIDE), np.float32)
    known[:, :2] = np.random.default_rng(0).uniform(0, 1, (200, 2))
    who.like.learn(known, 0.0)
    most = []
    for k in range(2):
        who.look(tracks([-5], [(30.0 + 80 * k, 40.0)], (80.0, 0.0)), SIZE, float(k), 0)
        _, rows = who.walks.rows(np.array([-5]), float(k))
        most.append(float(who.walks.most[rows[0], JUMPS]))
    assert most[0] == 0
    assert most[1] > 1


def test_who_is_of_a_kind_that_never_strays_is_the_stranger_for_straying() -> None:
    who, dice = Who(1.0), np.random.default_rng(2)
    for _ in range(200):
        for kind, stray in ((0, 1.0), (1, 0.1)):
            most = np.array([stray * dice.exponential(), 0.0, 0.2])
            who.tails.add(most)
            who.own[kind].add(most)
    who.refresh(0.5)
    early = who._rarity(np.array([[2.0, 0.0, 0.2]] * 2), np.array([0, 1]))[:, 0]
    assert early[0] == early[1]  # half a day shows too little of a kind
    who.refresh(1.0)
    rarity = who._rarity(np.array([[2.0, 0.0, 0.2]] * 3), np.array([0, 1, 2]))[:, 0]
    assert rarity[1] > rarity[2] > rarity[0]
    assert rarity[2] == who.tails.rarity(np.array([[2.0, 0.0, 0.2]]))[0, 0]  # nothing is known of its kind


def test_a_first_saturday_noon_is_no_strange_hour_and_a_first_night_is() -> None:
    traits, hours = Traits((12, 21)), np.repeat(np.arange(8, 20), 40)
    traits.habits[HOUR].learn(0, 0, hours, np.ones(len(hours)))
    traits.refresh()
    surprise = traits.habits[HOUR].surprise[:, 0]
    assert surprise[1, 12] < 1.0
    assert min(surprise[0, 3], surprise[1, 3]) > 2.0


def test_all_spells_have_one_limit_and_who_has_none_leaves_his_share() -> None:
    def spells(count: int) -> Spells:
        one = Spells(1.0, Tail(1.0, 0.43, 0.0, 0.1), 3.0)
        for value in np.random.default_rng(count).exponential(0.5, count):
            one.tails.add(np.array([value]))
        return one

    busy, rare, silent = spells(3000), spells(300), spells(0)
    share([busy, rare, silent], 3.0)
    for one in (busy, rare, silent):
        one.refresh(10.0)
    assert busy.limit == rare.limit == pytest.approx(np.log10(330 / 3.0), abs=1e-3)
    expected = sum(one.tails.count / 10.0 * 10**-one.limit for one in (busy, rare))
    assert expected == pytest.approx(3.0, rel=0.01)  # a day, of all together
    assert silent.limit == 3.0
