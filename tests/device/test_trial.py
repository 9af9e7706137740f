"""A model on trial is judged by what was measured, and by nothing that a quiet street explains."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.data import Array, Detections, Frame, Scene, Tracks
from agent.device import trial, updates
from agent.device.health import Board
from agent.device.trial import BUSY, LOOKED, SAMPLES, SLICE_S, Record, Trial, complaint

IDLE = msgspec.structs.replace(Board().look(), fps=0.0)
AWAKE = msgspec.structs.replace(IDLE, fps=5.0)
FRAME = Frame(np.zeros((4, 6, 3), np.uint8), 0, 0.0)


def scene(confidence: float | None, invoke: float = 5.0) -> Scene:
    found = Detections.empty()
    if confidence is not None:
        box = np.array([[0, 0, 2, 3]], np.float32)
        found = Detections(box, np.array([confidence], np.float32), np.zeros(1, np.int32))
    return Scene("yard", FRAME, found, Tracks.empty(), (), {"invoke": invoke})


def record(*half_minutes: tuple[int, float | None], labels: tuple[str, ...] = ("person", "car")) -> Record:
    """Of half-minutes: how many frames were worth an inference, and what the last of them showed."""
    made, now = Record(labels, 0.5), 0.0
    for looks, confidence in half_minutes:
        for n in range(max(looks, 1)):
            made.scene(scene(confidence if n + 1 == looks else None, 5.0 if looks else 0.0), now)
        now += SLICE_S
    made.scene(scene(None, 0.0), now)
    return made


SEEN, EMPTY, QUIET = (LOOKED, 0.8), (LOOKED, None), (LOOKED - 1, None)


def test_a_model_that_sees_nothing_on_a_busy_street_is_found_out() -> None:
    told = complaint(record(*[EMPTY] * BUSY), record(*[SEEN] * BUSY))
    assert told == f"it saw nothing in {BUSY} busy half-minutes, the one before something in {BUSY} of {BUSY}"


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ([EMPTY] * (BUSY - 1), [SEEN] * BUSY),  # too early to say
        ([EMPTY] * BUSY, [SEEN] * (BUSY - 1)),  # the one before ran too short
        ([QUIET] * 50, [SEEN] * 50),  # nothing moves any more
        ([EMPTY] * 50, [QUIET] * 50),
        ([EMPTY] * 50, [SEEN, EMPTY] * 25),  # trees: the one before saw nothing in them either
        ([EMPTY] * 20 + [SEEN] + [EMPTY] * 8, [SEEN] * 50),  # once is enough
        ([EMPTY] * 50, [(LOOKED, 0.3)] * 50),  # what the one before told of was never certain
        ([], []),
    ],
)
def test_a_quiet_street_ends_no_trial(now: list[tuple[int, float | None]], before: list[tuple[int, float]]) -> None:
    assert complaint(record(*now), record(*before)) == ""


@given(now=st.lists(st.sampled_from([SEEN, EMPTY, QUIET]), max_size=60), rate=st.floats(0, 0.85))
def test_nobody_is_judged_where_the_one_before_missed_often(now: list[Any], rate: float) -> None:
    before = [SEEN if (n * rate) % 1 + rate >= 1 else EMPTY for n in range(30)]  # evenly spread
    assert complaint(record(*now), record(*before)) == ""


def test_what_the_one_before_saw_hours_ago_is_no_measure() -> None:
    before = record(*[SEEN] * BUSY, *[QUIET] * 200)
    assert complaint(record(*[EMPTY] * BUSY), before) == ""


def test_a_model_for_other_things_is_not_called_empty() -> None:
    assert complaint(record(*[EMPTY] * BUSY, labels=("person",)), record(*[SEEN] * BUSY)) == ""


@pytest.mark.parametrize(
    ("now", "before", "is_slow"),
    [(801, 200, True), (799, 200, False), (190, 20, False), (201, 20, True), (10, 10, False)],
)
def test_far_slower_is_too_slow(now: float, before: float, is_slow: bool) -> None:
    new, old = record(), record()
    new.ms.extend([now] * 60)
    old.ms.extend([before] * 60)
    told = complaint(new, old)
    assert told == (f"an inference takes {now} ms, with the one before it took {before} ms" if is_slow else "")
    new.ms.clear()
    new.ms.extend([now] * 10)
    assert complaint(new, old) == "", "ten are too few to know"


def outputs(value: float, kind: Any = np.float32) -> list[Array]:
    return [np.zeros((1, 8), np.int8), np.full((1, 5), value, kind)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_is_seen_at_once(value: float) -> None:
    made = record()
    made.sample(1, outputs(1.0))
    assert made.trouble == ""
    made.sample(2, outputs(value))
    assert made.trouble == "its outputs are not numbers"


def test_the_same_objects_in_every_picture_are_no_objects() -> None:
    made = record()
    for n in range(SAMPLES + 1):
        assert made.trouble == ""
        made.sample(n, outputs(1.0))
        made.scene(scene(0.2), 0.0)
    assert made.trouble == f"it said the same of {SAMPLES} pictures that differed"


@pytest.mark.parametrize(("picture", "value", "confidence"), [(0, 0, 0.2), (1, 1, 0.2), (1, 0, None)])
def test_a_still_picture_or_an_empty_one_is_no_trouble(picture: int, value: int, confidence: float | None) -> None:
    made = record()
    for n in range(100):
        made.sample(picture * n, outputs(value * n))
        made.scene(scene(confidence), 0.0)
    assert made.trouble == ""


class Still:
    """A backend whose picture is what was written into it last."""

    def __init__(self) -> None:
        self.inputs, self.outputs, self.runs_on = [], [], "cpu"
        self.threads = 2
        self.input, self.runs = np.zeros((1, 4, 6, 3), np.uint8), 0

    def run(self) -> list[Array]:
        self.runs += 1
        return outputs(float(self.runs))

    def use(self, threads: int) -> None:
        self.threads = threads

    def float_tensors(self) -> list[str]:
        return ["x"]


def test_a_watched_backend_does_what_it_did_and_is_sampled_once_a_second() -> None:
    backend, now = Still(), [0.0]
    model: Any = SimpleNamespace(backend=backend, card=SimpleNamespace(labels=("person",), confidence=0.5))
    watch = trial.watched(model)
    assert trial.watched(model) is watch is model.backend
    watch._clock = lambda: now[0]
    seen: list[int] = []
    watch.record.sample = lambda picture, _: seen.append(picture)  # type: ignore[method-assign,assignment]
    for tenth in range(25):
        now[0] = tenth / 10
        watch.input[:] = tenth
        backend.runs_on = f"cpu {tenth}"
        assert watch.run()[1][0, 0] == tenth + 1
        assert watch.runs_on == f"cpu {tenth}"
    assert (backend.runs, len(watch.record.ms), len(seen), len(set(seen))) == (25, 25, 3, 3)
    assert watch.float_tensors() == ["x"]
    watch.use(1)
    assert (watch.threads, backend.threads) == (1, 1)


def test_a_trial_ends_well_when_frames_were_looked_at_for_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "TRIAL_S", 0.0)
    one = Trial("abc", record())
    assert one.verdict(IDLE) is None  # nothing was looked at: nothing is proved
    verdict = one.verdict(AWAKE)
    assert verdict
    assert (verdict.model, verdict.why) == ("abc", "")
    assert one.verdict(AWAKE) is None, "told once"
    assert Trial(None, record()).verdict(AWAKE) is None, "none is on trial"


def test_a_trial_ends_badly_as_soon_as_there_is_trouble() -> None:
    made = record()
    one = Trial("abc", made, record())
    assert one.verdict(AWAKE) is None
    made.sample(1, outputs(float("nan")))
    verdict = one.verdict(AWAKE)
    assert verdict
    assert verdict.why == "its outputs are not numbers"
