"""What is usual is learned, what is not is told with its reason, and nothing grows."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.anomalies import Anomaly, Place
from agent.anomalies.normality.counts import Counts
from agent.anomalies.normality.habits import Habit
from agent.anomalies.normality.tails import KEPT, Tail, Tails, tail_of
from agent.anomalies.normality.walks import MOST, Walks
from agent.anomalies.unusual import Options, create
from agent.data import Detections, Event, Frame, Scene, Tracks

PICTURE = np.zeros((90, 160, 3), np.uint8)
LABELS = ("person", "car")


def scene(t: float, boxes: dict[int, tuple[float, float]], ended: tuple[int, ...] = (), label: int = 0) -> Scene:
    """People with their feet at these px, of whom the tracker does not know yet how fast they are."""
    n = len(boxes)
    xyxy = np.array([[x - 4, y - 16, x + 4, y] for x, y in boxes.values()], np.float32).reshape(-1, 4)
    tracks = Tracks(
        np.array(list(boxes), np.int64), xyxy, np.zeros((n, 2), np.float32), np.full(n, 0.9, np.float32),
        np.full(n, label, np.int32), np.zeros(n, np.float32), np.zeros(n, np.float32), np.arange(n, dtype=np.int32),
    )  # fmt: skip
    events = tuple(Event("track_end", t, 0, "cam", one, {}) for one in ended)
    return Scene("cam", Frame(PICTURE, 0, t), Detections.empty(), tracks, events, {}, np.zeros((0, n), np.bool_))


def place(folder: Path | None = None) -> Place:
    return Place("cam", "unusual", "unusual", LABELS, folder=folder, wall=lambda t: 4 * 86400 + t % 18_000)


def walk(anomaly: Anomaly, t: float, track: int, speed: float = 20.0, label: int = 0) -> tuple[float, list[Event]]:
    """One walks through the picture at px/s, seen every 0.4 s: the highest score, and what was told."""
    events, most, x, y = list[Event](), 0.0, 5.0, 60.0 + track % 9
    while x < 155:
        events += anomaly.update(scene(t, {track: (x, y)}, label=label))
        most, x, t = max(most, anomaly.score), x + speed * 0.4, t + 0.4
    return most, events + anomaly.update(scene(t, {}, (track,)))


def taught(options: Options, folder: Path | None = None, walks: int = 150) -> Anomaly:
    anomaly = create(options, place(folder))
    for n in range(walks):
        walk(anomaly, n * 60.0, n + 1, speed=18 + n % 5)
    return anomaly


@pytest.fixture(scope="module")
def experienced() -> Anomaly:
    return taught(Options(learn_days=0.05, false_alarms_per_day=20), walks=300)


def test_one_who_runs_where_all_walk_scores_higher_and_is_told_why(experienced: Anomaly) -> None:
    usual, _ = walk(experienced, 20_000, 9001)
    quick, events = walk(experienced, 20_100, 9002, speed=55)
    assert quick > 0.5 > usual
    begun = [event for event in events if event.kind == "anomaly_start"]
    assert [event.track_id for event in begun] == [9002]
    assert "frame widths/s here; usual" in begun[0].detail["reason"]
    assert begun[0].detail["value"] > begun[0].detail["limit"]


def test_a_label_never_seen_here_scores_higher(experienced: Anomaly) -> None:
    assert walk(experienced, 30_000, 9003, label=1)[0] > walk(experienced, 30_100, 9004)[0]


@pytest.mark.parametrize(("fps", "strange"), [(2.5, True), (10.0, False)], ids=["rare frames", "near frames"])
def test_what_no_track_took_jumps_only_where_frames_are_far_apart(
    experienced: Anomaly, fps: float, strange: bool
) -> None:
    begin, most = 40_000 + 10 * fps, 0.0
    for k in range(int(2 * fps)):
        t = begin + k / fps
        x = 5 + 60 * (t - begin)
        xyxy = np.array([[x, 20, x + 8, 36]], np.float32)
        found = Detections(xyxy, np.array([0.8], np.float32), np.array([1], np.int32))
        experienced.update(replace(scene(t, {}), detections=found))
        most = max(most, experienced.score)
    assert (most > 0.2) == strange


def test_nothing_is_told_while_it_learns() -> None:
    anomaly = taught(Options(learn_days=10), walks=60)
    assert walk(anomaly, 5000, 900, speed=100, label=1)[1] == []


def test_what_was_learned_survives_a_restart_and_a_clock_that_begins_anew(tmp_path: Path) -> None:
    anomaly = taught(Options(learn_days=0.05, false_alarms_per_day=20), tmp_path)
    anomaly.close()
    again = create(Options(learn_days=0.05, false_alarms_per_day=20), place(tmp_path))
    score, events = walk(again, 3.0, 1, speed=55)
    assert score > 0.5
    assert events[0].kind == "anomaly_start"


@pytest.mark.parametrize("text", [b"", b"PK\x03\x04", b"x" * 1000])
def test_a_damaged_file_is_set_aside_and_learning_begins_anew(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "unusual.npz").write_bytes(text)
    assert walk(create(Options(), place(tmp_path)), 0.0, 1)[1] == []
    assert (tmp_path / "unusual.npz.aside").read_bytes() == text


def test_a_file_of_an_earlier_version_is_set_aside_and_learning_begins_anew(tmp_path: Path) -> None:
    taught(Options(), tmp_path, walks=5).close()
    file = tmp_path / "unusual.npz"
    with np.load(file) as found:
        arrays = {name: found[name] for name in found.files if not name.startswith("who_")}
    np.savez(file, **{**arrays, "version": np.array(4)})
    assert walk(create(Options(), place(tmp_path)), 0.0, 1)[1] == []
    assert (tmp_path / "unusual.npz.aside").exists()


def test_a_file_that_is_cut_short_never_takes_the_place_of_a_whole_one(tmp_path: Path) -> None:
    taught(Options(), tmp_path, walks=5).close()
    whole = (tmp_path / "unusual.npz").read_bytes()
    (tmp_path / ".unusual.npz.1").write_bytes(whole[: len(whole) // 2])  # killed while writing
    create(Options(), place(tmp_path)).close()
    assert [file.name for file in tmp_path.glob("*.aside")] == []


def test_time_that_goes_back_is_no_time_and_harms_nothing() -> None:
    anomaly = taught(Options(learn_days=0.0), walks=20)
    before = anomaly.score
    anomaly.update(scene(1e6, {5: (50, 60)}))
    anomaly.update(scene(-5.0, {5: (51, 60)}))
    assert np.isfinite(anomaly.score)
    assert before <= 1.0


def test_what_it_leaves_behind_does_not_grow_with_time(tmp_path: Path) -> None:
    """LOOKOUT_SOAK=1 makes it 10⁶ updates of tracks."""
    steps = 4000 if os.environ.get("LOOKOUT_SOAK") else 400
    rng, sizes = np.random.default_rng(1), dict[int, int]()
    anomaly = create(Options(learn_days=0.0), place(tmp_path))
    for step in range(steps):  # 250 tracks at a time, each for ten frames
        first = step // 10 * 250
        over = tuple(range(first - 250, first)) if step % 10 == 0 and step else ()
        spots = rng.uniform((0, 0), (160, 90), (250, 2))
        anomaly.update(scene(step * 2.0, {first + n: (x, y) for n, (x, y) in enumerate(spots)}, over, step % 40))
        if step in (39, 399, steps - 1):
            anomaly.close()
            sizes[step] = (tmp_path / "unusual.npz").stat().st_size
    assert sizes[steps - 1] < 2 * sizes[399] < 1 << 21


def test_there_is_room_for_so_many_tracks_and_no_more() -> None:
    walks = Walks(3)
    assert len(walks.rows(np.arange(2 * MOST), 0.0)[0]) == MOST
    walks.end(list(range(2 * MOST)))
    assert len(walks) == 0


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_a_tail_says_how_rare_what_was_never_seen_is(shape: float) -> None:
    rng = np.random.default_rng(3)
    u = rng.uniform(size=2000)
    scores = -np.log(u) if shape == 0 else (u**-shape - 1) / shape
    grid = np.geomspace(0.1, 1000, 20_000)
    level = grid[np.searchsorted(Tails(tail_of(scores)).rarity(grid[:, None])[:, 0], 4.0)]
    true = -np.log(1e-4) if shape == 0 else (1e-4**-shape - 1) / shape
    assert 0.5 * true < level < 2 * true


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_one_out_of_all_proportion_counts_as_what_is_beyond_the_limit_does(shape: float) -> None:
    tails, rng = Tails(Tail(1.0, 0.5, shape, 0.1)), np.random.default_rng(6)
    for rarity in (0.3, 1.0, 1.7, 4.0):
        assert tails.rarity(tails.reached(rarity)[None])[0, 0] == pytest.approx(rarity)
    tails.add(np.array([50.0]), rarest=2.0)
    tails.add(np.array([1.2]), rarest=2.0)
    u = rng.uniform(size=200_000)
    scores = 1.0 + 0.5 * (-np.log(u) if shape == 0 else (u**-shape - 1) / shape)
    assert tails.peaks[0, 0] == pytest.approx(scores[scores > tails.reached(2.0)].mean(), rel=0.03)
    assert tails.peaks[1, 0] == 1.2


def test_where_hardly_any_has_evidence_another_column_stands_in() -> None:
    rng = np.random.default_rng(7)
    tails = Tails(*[Tail(2.0, 0.5, 0.0, 0.1)] * 3, instead=(0, 0, 2))
    for n in range(400):
        tails.add(np.array([rng.exponential(), float(n % 100 == 0), float(n % 100 == 0)]))
    tails.fit()
    walking, jumping, staying = tails.rarity(np.full((1, 3), 3.0))[0]
    assert walking == jumping != staying
    assert staying == pytest.approx(1 + 1 / 0.5 / np.log(10))  # as was supposed


def test_tracks_without_end_are_kept_in_bounded_space() -> None:
    tails = Tails(*[Tail(2.0, 0.5, 0.0, 0.1)] * 2)
    for n in range(3 * KEPT):
        tails.add(np.full(2, n % 7.0))
    tails.fit()
    assert tails.peaks.shape == (KEPT, 2)
    assert (np.diff(tails.rarity(np.repeat([[0.0], [3.0], [9.0]], 2, axis=1)), axis=0) > 0).all()


def test_a_habit_is_what_a_naive_count_says() -> None:
    rng, habit = np.random.default_rng(2), Habit((1, 1), 5, "high")
    values = rng.choice(5, 2000, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    habit.learn(0, 0, values, np.ones(2000))
    habit.refresh()
    naive = [-np.log10(np.mean(values >= b)) for b in range(5)]
    np.testing.assert_allclose(habit.surprise[0, 0], naive, atol=0.05)


def test_what_nobody_ever_saw_is_the_more_surprising_the_more_was_seen() -> None:
    surprises = []
    for n in (10, 100, 1000):
        habit = Habit((1, 1), 4, "rare")
        habit.learn(0, 0, np.zeros(n, np.intp), np.ones(n))
        habit.refresh()
        surprises.append(habit.surprise[0, 0, 3])
    assert surprises == sorted(surprises)
    assert surprises[2] > surprises[0] + 1.5


def test_three_at_night_surprise_where_three_at_noon_do_not() -> None:
    counts = Counts(1)
    for _ in range(60):
        counts.learn(0, 12, 3, 1.0)
        counts.learn(0, 3, 0, 1.0)
    assert counts.surprise(3, np.array([3]))[0] > counts.surprise(12, np.array([3]))[0] + 0.5
    assert counts.usual(0, 3)[1] < 1.5 < counts.usual(0, 12)[1]


def test_an_hour_of_which_nothing_is_known_is_no_surprise() -> None:
    assert Counts(1).surprise(0, np.array([1]))[0] < 1.5
