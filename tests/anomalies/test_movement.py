"""Movement without names, moments that were like none before, and what is too quick to be tracked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from agent.anomalies.normality import likeness
from agent.anomalies.normality.flow import EVERY_S, Flow
from agent.anomalies.normality.likeness import FAR, MOST, WIDE, Likeness
from agent.anomalies.normality.loose import Loose
from agent.anomalies.normality.stir import Stir
from agent.anomalies.parts.glance import ROWS, Glance
from agent.anomalies.parts.middle import middle
from agent.data import Array, Detections, Frame, Tracks

SIZE = (360, 240)
GROUND = np.random.default_rng(1).integers(60, 120, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
COAT = np.random.default_rng(2).integers(130, 250, (48, 24, 3), dtype=np.uint8)


def passing(speed: float, seconds: float, begin: float = 0.0, fps: float = 10.0) -> Iterator[Frame]:
    """Somebody comes by again and again at px/s."""
    for k in range(round(seconds * fps)):
        x = int(speed * k / fps) % (SIZE[0] - COAT.shape[1])
        picture = GROUND.copy()
        picture[120 : 120 + COAT.shape[0], x : x + COAT.shape[1]] = COAT
        yield Frame(picture, k, begin + k / fps)


def test_a_frame_is_made_small_once_and_the_next_one_anew() -> None:
    glance, (first, second) = Glance(), list(passing(60.0, 0.2))
    small, grey = glance.small(first), glance.grey(first)
    assert small.shape == (ROWS, round(ROWS * SIZE[0] / SIZE[1]), 3)
    assert grey.shape == small.shape[:2]
    assert glance.small(first) is small
    assert glance.grey(first) is grey
    assert (glance.small(second) != small).any()
    assert (glance.grey(second) != grey).any()
    assert glance.small(Frame(GROUND[:50, :70], 0, 9.0)).shape == (50, 70, 3)


def test_the_median_is_that_of_numpy_and_of_an_even_number_the_upper_one() -> None:
    values = np.random.default_rng(5).normal(size=(3, 7)).astype(np.float32)
    assert middle(values) == np.median(values)
    assert middle(np.array([4.0, 1.0, 3.0, 2.0])) == 3.0
    assert middle(np.array([7])) == 7.0


def test_flow_says_how_fast_something_moves_and_where() -> None:
    flow, glance, found = Flow(SIZE), Glance(), list[Array]()
    for frame in passing(60.0, 3.0):
        speed = flow.look(frame, glance)
        if speed is not None:
            found.append(speed)
    assert 3.0 / EVERY_S - 2 <= len(found) <= 3.0 / EVERY_S + 1
    rows = found[0].shape[0]
    for speed in found[1:]:
        row, _ = np.unravel_index(speed.argmax(), speed.shape)
        assert speed.max() == pytest.approx(60 / SIZE[0], rel=0.4)
        assert 120 / SIZE[1] - 0.1 <= row / rows <= 168 / SIZE[1] + 0.1


def test_a_switched_light_and_frames_far_apart_are_no_movement() -> None:
    flow, glance = Flow(SIZE), Glance()
    dark, bright = GROUND // 2, np.minimum(GROUND.astype(int) + 100, 255).astype(np.uint8)
    assert flow.look(Frame(dark, 0, 0.0), glance) is None
    speed = flow.look(Frame(bright, 1, 0.1), glance)
    assert speed is None or speed.max() == 0
    apart = Flow(SIZE)
    assert [apart.look(Frame(GROUND, k, 5.0 * k), glance) for k in range(4)] == [None] * 4


def test_who_is_quicker_than_anybody_here_stirs_and_is_told_where() -> None:
    stir, glance = Stir(a_day=0.2), Glance()
    for frame in passing(30.0, 60.0):
        stir.look(frame, glance)
    stir.refresh(0.0)
    usual = max(stir.look(frame, glance) for frame in passing(30.0, 6.0, begin=100.0))
    quick = max(stir.look(frame, glance) for frame in passing(110.0, 6.0, begin=200.0))
    spot = stir.spot()
    assert quick > usual + 1
    assert spot.xyxy[1] < 168 / SIZE[1] < 0.2 + spot.xyxy[3]
    assert spot.speed > spot.usual[1]


def test_outside_of_its_polygons_nothing_stirs() -> None:
    stir = Stir(a_day=0.2, polygons=[[(0.0, 0.0), (1.0, 0.0), (1.0, 0.3), (0.0, 0.3)]])
    glance = Glance()
    assert max(stir.look(frame, glance) for frame in passing(110.0, 6.0)) == 0.0
    assert stir.habit.counts.sum() == 0


def test_the_distance_to_what_is_known_is_that_of_a_naive_search() -> None:
    rng, like = np.random.default_rng(3), Likeness()
    known, asked = (rng.uniform(-3, 3, (n, WIDE)).astype(np.float32) for n in (700, 30))
    like.learn(known, 0.0)
    apart, which = like.distance(asked)
    naive = np.sqrt(((asked[:, None] - like.moments[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(apart, np.minimum(naive.min(axis=1), FAR), atol=1e-3)
    np.testing.assert_array_equal(which[apart < FAR], naive.argmin(axis=1)[apart < FAR])


def test_what_was_seen_again_is_kept_and_what_was_not_makes_room() -> None:
    like, rng = Likeness(), np.random.default_rng(4)
    rare = np.full((1, WIDE), 50, np.float32)
    like.learn(rare, 0.0)
    for day in range(1, 8):
        like.learn(rng.uniform(-20, 20, (1000, WIDE)).astype(np.float32), float(day))
        like.learn(rare, float(day))
    assert len(like.moments) == MOST
    assert like.distance(rare)[0][0] == 0
    like.forget(7.5)
    assert like.distance(rare)[0][0] == FAR


def test_the_same_pace_is_near_where_it_is_usual_and_far_the_other_way() -> None:
    at, scale, kind = np.array([[0.5, 0.5]]), np.array([0.1]), np.array([0])
    right, left = (likeness.point(at, scale, np.array([[v, 0.0]]), kind) for v in (0.2, -0.2))
    a_little_faster = likeness.point(at, scale, np.array([[0.22, 0.0]]), kind)
    assert np.linalg.norm(right - left) > 10 * np.linalg.norm(right - a_little_faster)


def seen(*feet: float, class_id: int = 0) -> Detections:
    """Cars of 60 px in a picture 640 px wide."""
    xyxy = np.array([[x, 200, x + 60, 230] for x in feet], np.float32).reshape(-1, 4)
    return Detections(xyxy, np.full(len(feet), 0.7, np.float32), np.full(len(feet), class_id, np.int32))


def test_what_jumps_further_than_its_size_has_one_identity_and_a_speed() -> None:
    loose, found = Loose(), list[Tracks]()
    for k in range(4):
        found.append(loose.follow(seen(20 + 150 * k), Tracks.empty(), (640, 360), 0.5 * k, 0.5)[0])
    assert [len(one) for one in found] == [0, 1, 1, 1]
    assert {int(one.track_id[0]) for one in found[1:]} == {-1}
    np.testing.assert_allclose(found[3].velocity[0], (300, 0), atol=1)
    assert loose.follow(seen(), Tracks.empty(), (640, 360), 9.0, 0.5)[1] == [-1]


@pytest.mark.parametrize(
    ("steps", "dt"),
    [((20, 170, 60), 0.5), ((20, 600), 0.5), ((20, 60, 100), 0.06)],
    ids=["back", "too far", "often"],
)
def test_what_does_not_go_on_as_it_began_is_not_followed(steps: tuple[int, ...], dt: float) -> None:
    loose, last = Loose(), Tracks.empty()
    for k, x in enumerate(steps):
        last, _ = loose.follow(seen(x), Tracks.empty(), (640, 360), dt * k, dt)
    assert len(last) == 0


def test_what_comes_in_and_goes_out_is_followed_by_the_edges_that_are_its_own() -> None:
    loose, last = Loose(), Tracks.empty()
    for k in range(5):
        x = -110.0 + 170 * k  # 120 px long
        xyxy = np.clip([[x, 200, x + 120, 250]], 0, (640, 360) * 2).astype(np.float32)
        one = Detections(xyxy, np.full(1, 0.7, np.float32), np.zeros(1, np.int32))
        last, over = loose.follow(one, Tracks.empty(), (640, 360), 0.5 * k, 0.5)
        assert not over
        if k:
            assert last.track_id.tolist() == [-1]
            np.testing.assert_allclose(last.velocity[0], (340, 0), atol=1)


def test_loose_things_without_end_leave_bounded_state() -> None:
    loose, rng, alive = Loose(), np.random.default_rng(5), set[int]()
    for k in range(300):
        found, over = loose.follow(seen(*rng.uniform(0, 580, 60)), Tracks.empty(), (640, 360), 0.5 * k, 0.5)
        alive = (alive | set(found.track_id.tolist())) - set(over)
        assert len(alive) <= 32
