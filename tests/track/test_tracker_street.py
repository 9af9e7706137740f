"""The tracker on real detections of real people."""

from pathlib import Path

import numpy as np
import pytest

from agent.boxes import iou
from agent.config import Tracker as Options
from agent.track.tracker import Tracker
from tests.track.people import seen


@pytest.mark.parametrize(("every", "idf1", "mota"), [(1, 0.56, 0.58), (2, 0.6, 0.56), (3, 0.52, 0.53), (5, 0.5, 0.47)])
def test_people_of_pets_keep_their_ids(data_dir: Path, every: int, idf1: float, mota: float) -> None:
    """Public detections of PETS09-S2L1 (MOT15). The limits lie below what was measured: tests/bench/tracking.py."""
    motmetrics = pytest.importorskip("motmetrics")
    truth, found = (np.loadtxt(data_dir / f"tracking/PETS09-S2L1.{kind}.txt", delimiter=",") for kind in ("gt", "det"))
    tracker, sum_up = Tracker(Options()), motmetrics.MOTAccumulator(auto_id=True)
    for frame in range(1, 796, every):
        known, rows = truth[truth[:, 0] == frame], found[found[:, 0] == frame]
        xyxy = np.hstack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]])
        tracks, _ = tracker.update(seen(map(tuple, xyxy), rows[:, 6]), frame / 10, frame)
        true_xyxy = np.hstack([known[:, 2:4], known[:, 2:4] + known[:, 4:6]])
        distance = 1 - iou(true_xyxy, tracks.xyxy.astype(np.float64))
        distance[distance > 0.5] = np.nan
        sum_up.update(known[:, 1].astype(int).tolist(), tracks.track_id.tolist(), distance)
    result = motmetrics.metrics.create().compute(sum_up, metrics=["idf1", "mota"], name="PETS").loc["PETS"]
    assert result["idf1"] > idf1
    assert result["mota"] > mota
