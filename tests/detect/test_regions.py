"""Where to look: needs, crops, the sweep; with pictures that are not square and objects far from the origin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.data import Detections, Tracks
from agent.detect.crops import BEST
from agent.detect.regions import Planner
from agent.detect.sizes import Sizes
from tests.build import detections, xyxy
from tests.detect.eye import tracks

SIZE = (768, 432)
NONE = xyxy()


def swept(size=SIZE, input_side=300, t=0.0, **options):
    """A planner whose first sweep is done, and the time after it."""
    planner = Planner(size, input_side, **options)
    for _ in range(100):
        crops = planner.plan(t, NONE, Tracks.empty(), 3)
        planner.learn(t, crops, Detections.empty(), np.zeros(0, bool))
        t += 0.1
        if len(crops) == 0:
            return planner, t
    raise AssertionError("the first sweep does not end")


def step(planner, t, moving=NONE, known=None, allowance=3, found=None):
    known = planner.predict(t, Tracks.empty() if known is None else known)
    crops = planner.plan(t, moving, known, allowance)
    found = Detections.empty() if found is None else found
    planner.learn(t, crops, found, np.ones(len(found), bool))
    return crops


def holds(crops, box):
    return np.any((crops[:, :2] <= box[:2]).all(axis=1) & (crops[:, 2:] >= box[2:]).all(axis=1))


def sides(crops):
    return crops[:, 2:] - crops[:, :2]


boxes_inside = st.tuples(st.integers(0, 700), st.integers(0, 380), st.integers(8, 300), st.integers(8, 300)).map(
    lambda b: (b[0], b[1], min(SIZE[0], b[0] + b[2]), min(SIZE[1], b[1] + b[3]))
)


@given(st.lists(boxes_inside, max_size=12), st.lists(boxes_inside, max_size=12), st.integers(0, 6), st.booleans())
@settings(deadline=None, max_examples=60)
def test_crops_lie_in_the_frame_are_square_unless_it_is_smaller_and_keep_the_allowance(moving, known, allowance, sees):
    planner = Planner(SIZE, 300)
    for i in range(3):
        found = detections(*((*box, 0.9) for box in known)) if sees else None
        crops = step(planner, i / 10, xyxy(*moving), tracks(*known), allowance, found)
        assert crops.shape[1:] == (4,)
        assert crops.dtype == np.int32
        assert len(crops) <= allowance
        assert np.all(crops[:, :2] >= 0)
        assert np.all(crops[:, 2:] <= SIZE)
        assert np.all(sides(crops) > 0)
        for w, h in sides(crops):
            assert w == h or h == SIZE[1] or w == SIZE[0]


@given(boxes_inside)
@settings(deadline=None, max_examples=60)
def test_a_moving_track_is_whole_in_a_crop_at_the_scale_the_model_likes(box):
    planner, t = swept()
    crops = step(planner, t, known=tracks((*box, 0.5 * SIZE[0], 0)))
    x1, y1, x2, y2 = box
    if max(x2 - x1, y2 - y1) < 8:
        return
    now = np.clip(np.array(box) + np.array([38.4, 0, 38.4, 0]), 0, [*SIZE, *SIZE])  # 0.1 s later
    assert holds(crops, np.array([np.ceil(now[0]), now[1], np.floor(now[2]), now[3]]))
    longer = max(x2 - x1, y2 - y1)
    side = float(np.sqrt(np.prod(sides(crops)[0])))
    assert side <= max(1.9 * 150, 1.9 * longer / BEST, 1.3 * longer) + 2


def test_what_is_close_together_shares_a_crop_and_what_is_apart_does_not():
    planner, t = swept()
    assert len(step(planner, t, known=tracks((300, 200, 330, 280, 50, 0), (360, 210, 390, 290, 50, 0)))) == 1
    planner, t = swept()
    assert len(step(planner, t, known=tracks((30, 20, 60, 100, 50, 0), (700, 330, 730, 410, -50, 0)))) == 2


def test_under_a_tight_allowance_crops_take_turns():
    planner, t = swept()
    apart = [(30, 20, 60, 100, 20, 0), (700, 20, 730, 100, -20, 0), (360, 330, 390, 410, 20, 0)]
    visits = np.zeros(3)
    moving = xyxy(*(box[:4] for box in apart))
    for i in range(30):
        crops = step(planner, t + i / 10, moving, tracks(*apart), allowance=1)
        for k, box in enumerate(apart):
            visits[k] += len(crops) > 0 and holds(crops, np.array(box[:4]))
    assert visits.min() >= 8


def test_what_moves_and_is_no_track_is_looked_at():
    planner, t = swept()
    crops = step(planner, t, moving=xyxy((600, 300, 640, 390)))
    assert holds(crops, np.array([600, 300, 640, 390]))


def test_movement_that_a_track_explains_needs_no_crop_of_its_own():
    planner, t = swept()
    one = step(planner, t, moving=xyxy((600, 300, 640, 390)), known=tracks((598, 298, 641, 391, 80, 0)))
    assert len(one) == 1


def test_a_standing_track_is_not_looked_at_on_every_frame_but_is_verified():
    planner, t = swept(sweep_s=1000.0, verify_s=10.0)
    parked = tracks((500, 250, 600, 320))
    found = detections((500, 250, 600, 320, 0.9))
    looks = [len(step(planner, t + i / 10, known=parked, found=found)) for i in range(305)]
    assert looks[0] == 1
    assert 3 <= sum(looks) <= 5


def test_a_standing_track_is_looked_at_again_as_soon_as_something_stirs_in_it():
    planner, t = swept(sweep_s=1000.0)
    parked = tracks((500, 250, 600, 320))
    step(planner, t, known=parked, found=detections((500, 250, 600, 320, 0.9)))
    assert len(step(planner, t + 0.1, known=parked)) == 0
    assert len(step(planner, t + 0.2, moving=xyxy((520, 260, 570, 310)), known=parked)) == 1


def test_a_new_box_is_followed_until_the_tracker_has_made_up_its_mind_and_not_for_ever():
    planner, t = swept(sweep_s=1000.0)
    seen = detections((500, 250, 530, 320, 0.9))
    step(planner, t, moving=xyxy((500, 250, 530, 320)), found=seen)
    again = [len(step(planner, t + i / 10, found=seen)) for i in range(1, 40)]
    assert all(again[:3])
    assert not any(again[7:])


def test_movement_in_which_nothing_is_found_is_looked_at_less_and_less():
    planner, t = swept(sweep_s=1000.0)
    leaves = xyxy((100, 50, 160, 120))
    looks = [len(step(planner, t + i / 10, moving=leaves)) for i in range(200)]
    assert sum(looks[:10]) >= 3
    assert sum(looks[100:]) <= 10
    hit = detections((100, 50, 160, 120, 0.9))
    for i in range(40):  # then someone stands there
        step(planner, t + 20 + i / 10, moving=leaves, found=hit)
    assert len(step(planner, t + 24.1, moving=leaves)) == 1


@pytest.mark.parametrize("size", [(768, 432), (432, 768), (1920, 1080), (320, 240), (300, 300)], ids=str)
def test_the_sweep_shows_every_place_at_both_scales(size):
    """Wherever an object of the usual or of a large size stands, some crop of the first sweep holds it whole."""
    planner = Planner(size, 300)
    crops = []
    for i in range(100):
        new = step(planner, i / 10)
        crops.extend(new)
        if len(new) == 0:
            break
    crops = np.array(crops)
    usual = BEST * min(max(300, min(size) / 2), min(size))
    area = np.sqrt(np.prod(sides(crops), axis=1))
    for longer in (usual, 0.4 * min(size)):
        fitting = crops[longer >= 0.4 * BEST * area]
        for x in np.linspace(0, size[0] - 0.4 * longer, 14):
            for y in np.linspace(0, size[1] - longer, 9):
                assert holds(fitting, np.array([x + 1, y + 1, x + 0.4 * longer - 1, y + longer - 1])), (longer, x, y)
    assert len(crops) <= 1.5 * size[0] * size[1] / (usual / BEST / 2) ** 2


@pytest.mark.parametrize("fps", [2, 10, 30])
def test_a_still_scene_is_swept_in_seconds_not_in_frames(fps):
    planner, t = swept(sweep_s=30.0)
    first = planner
    per_sweep = sum(len(step(Planner(SIZE, 300), 0.0, allowance=99)) for _ in range(1))
    run = sum(len(step(first, t + i / fps)) for i in range(int(120 * fps)))
    assert 3 * per_sweep * 0.5 <= run <= 5 * per_sweep


def test_the_sweep_goes_on_in_a_busy_scene():
    planner, t = swept(sweep_s=10.0)
    busy = tracks((30, 20, 60, 100, 20, 0), (700, 20, 730, 100, -20, 0), (360, 330, 390, 410, 20, 0))
    looked = np.zeros((9, 16), bool)
    for i in range(600):
        for x1, y1, x2, y2 in step(planner, t + i / 10, known=busy, allowance=2):
            looked[-(-y1 // 48) : y2 // 48, -(-x1 // 48) : x2 // 48] = True
    assert looked.all()


def test_another_view_is_swept_at_once():
    planner, t = swept()
    assert len(step(planner, t)) == 0
    planner.new_view()
    assert len(step(planner, t + 0.1, allowance=99)) == len(step(Planner(SIZE, 300), 0.0, allowance=99)) > 1


def test_only_what_was_looked_at_counts_as_seen():
    planner, t = swept(sweep_s=1000.0)
    near, far = (300, 200, 330, 280, 50, 0), (30, 20, 60, 100)
    step(planner, t, known=tracks(near, far))
    crops = step(planner, t + 0.1, xyxy(near[:4]), tracks(near, far))  # the far one stands: no look at it
    seen = planner.seen(crops)
    assert seen.dtype == np.float32
    assert holds(seen, np.array(near[:4]))
    assert not holds(seen, np.array(far))
    none = planner.plan(t + 0.11, NONE, Tracks.empty(), 3)
    assert planner.seen(none).shape == (0, 4)


def test_a_crop_does_not_vouch_for_a_track_much_too_small_in_it():
    planner, t = swept(sweep_s=1000.0)
    big, tiny = (100, 20, 500, 420, 300, 0), (600, 300, 606, 318)
    crops = step(planner, t, known=tracks(big, tiny), allowance=1)
    seen = planner.seen(crops)
    assert holds(crops, np.array(tiny))
    assert not holds(seen, np.array(tiny))
    assert holds(seen, np.array([140, 20, 500, 420]))


def test_what_left_the_frame_was_looked_at_beyond_its_border():
    planner, t = swept(sweep_s=1000.0)
    gone = tracks((780, 200, 810, 280, 50, 0))
    seen = planner.seen(step(planner, t, known=gone))
    assert holds(seen, np.array([785, 200, 815, 280]))


def test_sizes_are_learned_where_they_occur_and_forgotten_in_seconds():
    sizes = Sizes(SIZE)
    assert np.isnan(sizes.expected()).all()
    for i in range(20):
        sizes.learn(i / 10, xyxy((100, 20, 110, 50), (600, 300, 660, 420)))
    expected = sizes.expected()
    (near_row, far_row), (near_column, far_column) = sizes.cells(xyxy((600, 300, 660, 420), (100, 20, 110, 50)))
    assert expected[far_row, far_column] == pytest.approx(30, rel=0.05)
    assert expected[near_row, near_column] == pytest.approx(120, rel=0.05)
    for i in range(3):
        sizes.learn(20_000 + i, xyxy((100, 20, 140, 110)))
    assert sizes.expected()[far_row, far_column] == pytest.approx(90, rel=0.05)


def test_learned_sizes_set_the_scale_for_movement():
    """A mere fragment moves; where people are 100 px high the crop is made for a person."""
    planner, t = swept(sweep_s=1000.0)
    for _ in range(30):
        planner.sizes.learn(t, xyxy((400, 200, 440, 300)))
    (crop,) = step(planner, t + 0.1, moving=xyxy((405, 260, 435, 300)))
    assert 100 / BEST <= crop[2] - crop[0] <= 1.9 * 100 / BEST


def test_state_is_bounded_by_the_scene_not_by_time():
    planner = Planner(SIZE, 300)
    rng = np.random.default_rng(0)
    for i in range(400):
        low = rng.uniform(0, 300, (12, 2))
        rows = np.concatenate([low, low + rng.uniform(10, 120, (12, 2)), rng.uniform(-50, 50, (12, 2))], axis=1)
        found = detections(*(np.append(r[:4] + rng.uniform(-300, 300), 0.9) for r in rows))
        step(planner, i / 10, xyxy(*rows[:6, :4]), tracks(*rows, first_id=1 + 12 * i), found=found)
        assert len(planner._looked) <= 12 * 102  # and those of the last ten seconds
        assert len(planner._new) <= 40
    assert sum(v.nbytes for v in vars(planner).values() if isinstance(v, np.ndarray)) < 20_000
