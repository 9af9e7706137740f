"""From frames to detections with a model that sees red boxes; small, moving, standing, masked, many, none."""

import numpy as np
import pytest

from agent import boxes, config
from agent.data import Frame, Tracks
from agent.detect.detector import Detector
from agent.detect.watch import Watch
from tests.detect.eye import Eye, paint, tracks

SIZE = (640, 360)
FPS = 10


def watch(masks=None, eye=None, **options):
    return Watch(Detector(eye or Eye()), config.Detect(**options), masks)


def run(camera, scenes, name="yard", begin=0.0, fps=FPS, follow=True):
    """Frames of painted objects; yields detections and what they were made of, with a tracker that is never wrong."""
    known = Tracks.empty()
    for i, objects in enumerate(scenes):
        frame = Frame(paint(SIZE, *objects, seed=i), i, begin + i / fps)
        found = camera.detect(name, frame, known)
        yield found, objects
        if camera.invokes:
            known = tracks(*objects) if follow and len(found) else Tracks.empty()


def hit(found, objects, least=0.5):
    return [bool(boxes.iou(np.array([o[:4]], np.float32), found.xyxy).max(initial=0) >= least) for o in objects]


def test_what_never_moves_is_found_once_at_the_start_and_again_by_the_sweep():
    camera = watch(sweep_s=10.0)
    still = [(520, 230, 545, 290), (60, 40, 80, 88)]
    when = [
        i / FPS
        for i, (found, objects) in enumerate(run(camera, [still] * 250, follow=False))
        if any(hit(found, objects))
    ]
    assert when[0] <= 1.0
    assert any(8 < t < 14 for t in when)
    assert any(18 < t < 25 for t in when)


def test_a_still_scene_costs_a_twentieth_of_looking_at_every_frame():
    eye = Eye()
    frames = 600
    list(run(watch(eye=eye), [[]] * frames))
    assert 0 < eye.backend.runs <= frames / 20


def test_a_hot_board_looks_at_half_the_crops():
    walkers = [[(20 + 4 * i, 200, 32 + 4 * i, 228), (600 - 4 * i, 40, 615 - 4 * i, 70)] for i in range(100)]
    most = {}
    for fewer in (False, True):
        camera = watch(invokes_per_second=1000, invokes_per_frame=4)
        camera.spare(fewer, False)
        most[fewer] = [camera.invokes for _ in run(camera, walkers)]
    assert max(most[False]) > 2
    assert max(most[True]) == 2
    camera.spare(False, False)
    assert max(camera.invokes for _ in run(camera, walkers, begin=1e3)) > 2


def test_movement_is_seen_in_the_cameras_own_small_picture():
    runs = {}
    for walks in (False, True):
        eye = Eye()
        camera = watch(eye=eye, sweep_s=1000.0)
        for i in range(60):
            walker = [(10 + 4 * i, 80, 30 + 4 * i, 130)] if walks else []
            frame = Frame(paint(SIZE, seed=i), i, i / FPS, paint((320, 180), *walker, seed=i))
            camera.detect("yard", frame, Tracks.empty())
        runs[walks] = eye.backend.runs
    assert runs[True] > runs[False] + 20


def test_a_small_walker_that_the_whole_frame_does_not_show_is_followed():
    walk = [[(20 + 4 * i, 200, 32 + 4 * i, 228)] for i in range(140)]
    full = sum(sum(hit(found, objects)) for found, objects in run(watch(mode="full"), walk))
    camera = watch()
    invokes, hits = 0, 0
    for found, objects in run(camera, walk):
        hits += sum(hit(found, objects))
        invokes += camera.invokes
    assert full == 0
    assert hits >= 0.9 * len(walk)
    assert invokes <= 1.5 * len(walk)


def test_never_more_crops_than_allowed():
    camera = watch(invokes_per_frame=2, invokes_per_second=7.0)
    crowd = [
        [(40 + 90 * k + 3 * i, 40 + 40 * k, 60 + 90 * k + 3 * i, 90 + 40 * k) for k in range(6)] for i in range(100)
    ]
    invokes = [camera.invokes for _ in run(camera, crowd)]
    assert max(invokes) <= 2
    assert sum(invokes) <= 7 * 11 + 2


def test_what_stands_is_kept_without_a_look_at_every_frame():
    camera = watch(sweep_s=1000.0)
    parked = [(300, 200, 380, 260)]
    looked = []
    for _found, _ in run(camera, [parked] * 100):
        seen = camera.seen
        looked.append(bool(len(seen)) and bool(boxes.intersection(np.array(parked, np.float32), seen).any()))
    assert any(looked[:5])
    assert sum(looked[20:]) <= 2


def test_detections_lie_in_what_was_seen_and_nothing_else_was():
    camera = watch()
    walk = [[(20 + 4 * i, 200, 44 + 4 * i, 260), (600 - 4 * i, 60, 620 - 4 * i, 120)] for i in range(60)]
    for found, _ in run(camera, walk):
        assert camera.seen.shape[1:] == (4,)
        assert camera.seen.dtype == np.float32
        if camera.invokes == 0:
            assert len(found) == len(camera.seen) == 0


def test_movement_under_a_mask_starts_no_look():
    flag = [[(500 + (i % 5) * 8, 40, 530 + (i % 5) * 8, 90)] for i in range(80)]
    right = ((0.7, 0.0), (1.0, 0.0), (1.0, 1.0), (0.7, 1.0))
    invokes = {}
    for name, masks in (("masked", {"yard": (right,)}), ("open", {})):
        eye = Eye(least=1000)  # blind: only movement can call for a look
        camera = watch(masks, eye, sweep_s=1000.0)
        spent = [camera.invokes for _ in run(camera, flag)]
        invokes[name] = sum(spent[20:])  # the first two seconds are the sweep's
    assert invokes["masked"] == 0
    assert invokes["open"] > 3


def test_full_mode_looks_at_every_whole_frame_and_has_seen_all_of_it():
    camera = watch(mode="full")
    for found, objects in run(camera, [[(300, 100, 400, 300)]] * 5):
        assert hit(found, objects) == [True]
        assert camera.seen is None
        assert camera.invokes == 1


def test_times_name_every_stage():
    camera = watch()
    list(run(camera, [[]] * 3))
    assert {"motion", "regions", "letterbox", "invoke", "decode", "merge"} <= set(camera.times)


def test_cameras_do_not_disturb_each_other():
    """Frame by frame in turn, or alone: the same detections."""
    walks = {
        name: [[(x0 + 4 * i, 200, x0 + 24 + 4 * i, 260)] for i in range(40)] for name, x0 in (("a", 20), ("b", 300))
    }
    together = watch(invokes_per_second=1000.0)
    runs = {name: run(together, walk, name) for name, walk in walks.items()}
    mixed = {"a": [], "b": []}
    for _ in range(40):
        for name in mixed:
            mixed[name].append(next(runs[name])[0].xyxy)
    for name, walk in walks.items():
        alone = [found.xyxy for found, _ in run(watch(invokes_per_second=1000.0), walk, name)]
        for one, other in zip(alone, mixed[name], strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_camera_that_comes_back_with_another_size_starts_anew():
    camera = watch()
    list(run(camera, [[(300, 100, 340, 180)]] * 5))
    small = (360, 240)
    for i in range(5):
        found = camera.detect(
            "yard", Frame(paint(small, (200, 100, 240, 180), seed=i), i, 10 + i / FPS), Tracks.empty()
        )
        assert np.all(found.xyxy <= [*small, *small])
    assert camera.invokes <= 3


@pytest.mark.parametrize("step_s", [0.0, -5.0, 1e6])
def test_time_that_stands_still_or_jumps_is_survived(step_s):
    camera = watch()
    known = Tracks.empty()
    for i, t in enumerate([0.0, 0.1, 0.1 + step_s, 0.2 + step_s, 0.3]):
        found = camera.detect("yard", Frame(paint(SIZE, (300, 100, 340, 180), seed=i), i, t), known)
        known = tracks((300, 100, 340, 180, 5, 0))
        assert np.isfinite(found.xyxy).all()


def test_memory_stays_where_it_is_in_a_long_busy_run():
    """Soak: tracks come and go by the thousand, what is kept does not grow."""
    camera = watch(invokes_per_frame=1)
    rng = np.random.default_rng(0)
    known = Tracks.empty()
    for i in range(400):
        low = rng.uniform(0, 300, (5, 2))
        objects = np.concatenate([low, low + 40], axis=1)
        camera.detect("yard", Frame(paint(SIZE, *objects, seed=i), i, i / FPS), known)
        known = tracks(*objects, first_id=1 + 5 * i)
        planner = camera._views["yard"].planner
        assert len(planner._looked) <= 5 * 102  # and those of the last ten seconds
        assert len(planner._new) <= 40
