"""python -m tests.bench.tracking DATA [NAME=FILE ...]: our tracker beside SORT, ByteTrack and OC-SORT.

Needs a venv of its own, because the peers are no dependency of ours: pip install trackers msgspec, and run from the
repo's root. DATA is the folder of test data; each NAME=FILE adds detections of its clip (MOT15 lines) by another model.

Every peer runs three ways: as it comes, told the frame rate, and told frame rate and time stamps; the best of the
three counts, for each figure on its own. Ours runs one way. Figures are those of the peers' own package (TrackEval's
formulas): MOTA and IDF1 at IoU 0.5, HOTA over all its thresholds.

Real clips run at every k-th frame from several first frames, forwards and backwards, and are averaged: one run's IDF1
swings by 0.05 and more on whom two people happened to become. The plain run (first frame 1, forwards) is in the table
of its own. Generated streets: seeds 1 and 2 were seen while the tracker was built, 11 and 12 were not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agent import boxes, config
from agent.data import Detections
from agent.track.tracker import Tracker
from tests.bench.scenes import KINDS, SECONDS, Clip, clip

FIGURES = ("MOTA", "IDF1", "HOTA", "IDSW", "ms")
LABELS = ("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck")
Answer = list[tuple[Any, Any]]  # ids, xyxy by frame


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("more", nargs="*", help="NAME=FILE: detections of PETS09-S2L1 by another model")
    parser.add_argument("--quick", action="store_true", help="no generated streets")
    asked = parser.parse_args()
    sources = {"public": asked.data / "tracking/PETS09-S2L1.det.txt"}
    sources |= {name: Path(file) for name, file in (one.split("=", 1) for one in asked.more)}
    for name, file in sources.items():
        for every in (1, 2, 3, 5):
            clips = list(real(asked.data / "tracking/PETS09-S2L1.gt.txt", file, every))
            table(f"{name}, every {every}: as it is", clips[:1])
            table(f"{name}, every {every}: mean of {len(clips)}", clips)
    for title, seeds in () if asked.quick else (("seen", (1, 2)), ("held out", (11, 12))):
        for fps in SECONDS:
            table(f"streets {title}, {fps} fps", [clip(seed, fps, kind) for kind in KINDS for seed in seeds])


def real(truth: Path, found: Path, every: int) -> Iterator[Clip]:
    """The PETS clip from each of a few first frames, forwards and backwards."""
    known, seen = _by_frame(truth), _by_frame(found)
    for first in {1: (0,), 2: (0, 1), 3: (0, 2), 5: (0, 2, 4)}[every]:
        for step in (1, -1):
            frames = list(range(first, 795, every))[::step]
            yield Clip(
                f"{first}{'<' if step < 0 else '>'}",
                10 / every,
                [n * every / 10 for n in range(len(frames))],
                [(known[f][:, 1].astype(int), known[f][:, 2:6]) for f in frames],
                [_detections(seen[f]) for f in frames],
            )


def _by_frame(path: Path) -> list[Any]:
    rows = np.loadtxt(path, delimiter=",")
    rows[:, 4:6] += rows[:, 2:4]
    return [rows[rows[:, 0] == frame] for frame in range(1, 796)]


def _detections(rows: Any) -> tuple[Any, Any, Any]:
    rows = rows[np.argsort(-rows[:, 6], kind="stable")]
    return rows[:, 2:6].astype(np.float32), rows[:, 6].astype(np.float32), np.zeros(len(rows), np.int32)


def table(title: str, clips: list[Clip]) -> None:
    """One line a tracker, means over the clips."""
    from trackers import ByteTrackTracker, OCSORTTracker, SORTTracker

    print(f"\n{title}\n{'':12}" + "".join(f"{figure:>8}" for figure in FIGURES))
    _print("ours", [score(one, *ours(one)) for one in clips])
    for name, kind in (("SORT", SORTTracker), ("ByteTrack", ByteTrackTracker), ("OC-SORT", OCSORTTracker)):
        means = np.array([np.mean(way, axis=0) for way in _ways(clips, kind)])
        best = np.concatenate([means[:, :3].max(axis=0), means[:, 3:].min(axis=0)])
        _print(name, [best.tolist()])
    sys.stdout.flush()


def _ways(clips: Iterable[Clip], kind: Callable[..., Any]) -> list[list[list[float]]]:
    """The figures of every clip, for each of the three ways to run a peer."""
    results: list[list[list[float]]] = [[], [], []]
    for one in clips:
        results[0].append(score(one, *peer(one, kind(), stamped=False)))
        results[1].append(score(one, *peer(one, kind(frame_rate=one.fps), stamped=False)))
        results[2].append(score(one, *peer(one, kind(frame_rate=one.fps), stamped=True)))
    return results


def _print(name: str, rows: list[list[float]]) -> None:
    mota, idf1, hota, switches, ms = np.mean(rows, axis=0)
    print(f"{name:12}{mota:8.3f}{idf1:8.3f}{hota:8.3f}{switches:8.1f}{ms:8.2f}")


def ours(one: Clip) -> tuple[Answer, float]:
    """Our answer, and ms of CPU per update."""
    tracker, answer, spent = Tracker(config.Tracker(), LABELS), [], 0.0
    for seq, (t, found) in enumerate(zip(one.t, one.found, strict=True)):
        detections = Detections(*found)
        begin = time.process_time()
        tracks, _ = tracker.update(detections, t, seq)
        spent += time.process_time() - begin
        answer.append((tracks.track_id, tracks.xyxy))
    return answer, spent / len(one.t) * 1e3


def peer(one: Clip, tracker: Any, *, stamped: bool) -> tuple[Answer, float]:
    """A peer's answer, and ms of CPU per update."""
    from supervision import Detections as Peers

    answer, spent = [], 0.0
    for t, (xyxy, confidence, class_id) in zip(one.t, one.found, strict=True):
        found = Peers(xyxy=xyxy.astype(float), confidence=confidence.astype(float), class_id=class_id.astype(int))
        begin = time.process_time()
        tracks = tracker.update(found, timestamp=t) if stamped else tracker.update(found)
        spent += time.process_time() - begin
        good = tracks.tracker_id >= 0
        answer.append((tracks.tracker_id[good], tracks.xyxy[good]))
    return answer, spent / len(one.t) * 1e3


def score(one: Clip, answer: Answer, ms: float) -> list[float]:
    """MOTA, IDF1, HOTA, ID switches, ms."""
    from trackers import eval as formulas

    known, given = _numbered([ids for ids, _ in one.truth]), _numbered([ids for ids, _ in answer])
    alike = [
        boxes.iou(np.asarray(a, np.float64).reshape(-1, 4), np.asarray(b, np.float64).reshape(-1, 4))
        for (_, a), (_, b) in zip(one.truth, answer, strict=True)
    ]
    clear = formulas.compute_clear_metrics(known, given, alike, threshold=0.5)
    identity = formulas.compute_identity_metrics(known, given, alike, threshold=0.5)
    hota = formulas.compute_hota_metrics(known, given, alike)
    return [clear["MOTA"], identity["IDF1"], hota["HOTA"], clear["IDSW"], ms]


def _numbered(ids: list[Any]) -> list[Any]:
    """The same ids from 0 without holes, as the formulas want them."""
    names = np.unique(np.concatenate(ids))
    return [np.searchsorted(names, one) for one in ids]


if __name__ == "__main__":
    main()
