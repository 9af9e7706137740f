"""The soak's judge: what leaks, is lost, or is left open is said; what is as it should be passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from agent import config
from agent.publish.clock import Clock
from agent.publish.outbox import Outbox
from tests.faults.conftest import load_consumer
from tests.soak import measured, plot
from tests.soak.measured import Sample, Taken

EVENTS = 20


def samples(mb_h: float = 0.0, threads: int = 10, files: int = 10, outbox_mb: float = 1.0) -> list[Sample]:
    """An hour, a look a minute; the last one's threads and files."""
    made = [Sample(t * 60.0, 100.0 + mb_h * t / 60, 0.0, outbox_mb, (10, 10)) for t in range(60)]
    return [*made, Sample(3600.0, 100.0 + mb_h, 0.0, outbox_mb, (threads, files))]


def state(folder: Path) -> Path:
    """An outbox that has numbered some events, all of them sent."""
    outbox = Outbox(config.Outbox(), folder / "outbox.db", Clock())
    outbox.open()
    seqs = [outbox.append("events", lambda seq: b"event %d" % seq) for _ in range(EVENTS)]
    outbox.commit()
    for seq in seqs:
        outbox.acked(seq)
    outbox.close()
    return folder


def taken(lost: int = 0, told: int = 0) -> Taken:
    """The first `lost` after the first never came; a gap event, the last one, tells of some."""
    made = Taken(load_consumer().Consumer())
    for seq in [1, *range(2 + lost, EVENTS + 1)]:
        gap = {"kind": "gap", "detail": {"count": told}} if seq == EVENTS and told else {"kind": "line_cross"}
        made.take(json.dumps({"id": str(seq), "device": "pi", "seq": seq, **gap}).encode())
    return made


@pytest.mark.parametrize(
    ("fails", "looks", "events", "log"),
    [
        (set(), {}, {}, ""),
        (set(), {"mb_h": 0.8}, {"lost": 3, "told": 3}, ""),
        ({"memory, after the warm-up"}, {"mb_h": 1.2}, {}, ""),
        ({"threads at rest"}, {"threads": 11}, {}, ""),
        ({"open files at rest"}, {"files": 12}, {}, ""),
        ({"outbox on the disk"}, {"outbox_mb": 17.0}, {}, ""),
        ({"events accounted for"}, {}, {"lost": 1}, ""),
        ({"events accounted for"}, {}, {"lost": 3, "told": 2}, ""),
        ({"tracebacks in the log"}, {}, {}, "Traceback (most recent call last)"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_else(
    tmp_path: Path, fails: set[str], looks: dict[str, Any], events: dict[str, int], log: str
) -> None:
    told = measured.verdicts(samples(**looks), taken(**events), state(tmp_path), 8.0, log)
    assert {one.what for one in told if not one.holds} == fails
    assert len(told) == 6


def test_minutes_tell_no_slope() -> None:
    assert not measured.is_long(samples()[:10])
    assert measured.is_long(samples())
    assert measured.slope_mb_h(samples(mb_h=2.5)) == pytest.approx(2.5)


def test_every_look_is_kept(tmp_path: Path) -> None:
    measured.keep(samples(threads=11), tmp_path / "soak.csv")
    lines = (tmp_path / "soak.csv").read_text().splitlines()
    assert (len(lines), lines[-1]) == (62, "3600.0,100.0,0.0,1.0,11,10")


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    plot.draw(samples(mb_h=1.0), tmp_path / "soak.png")
    picture = cv2.imread(str(tmp_path / "soak.png"))
    assert picture is not None
    assert picture.shape == (720, 1000, 3)
    assert (picture.min(axis=2) < 250).any()
