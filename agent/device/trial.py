"""Whether a model on trial does its work, judged by what can be measured while it runs.

    not numbers  a raw output holds NaN or infinity
    constant     SAMPLES pictures in a row that differed gave the same raw outputs, bit by bit, objects among them
    empty        it saw nothing in BUSY busy half-minutes, while the model before saw something in SURE of as many
    slow         its median inference takes SLOWER times as long as that of the model before, and more than SLOW_MS

Any of these ends the trial badly at once; `TRIAL_S` of looking at frames without them ends it well. A half-minute is
busy when LOOKED frames or more were worth an inference. On a quiet street there are none, or the model before saw
nothing in most of them: nobody is judged by what was not there. Nor by labels: a model that does not know all that
the one before knew is never called empty. The last two rules need the model before to have run in this process.
"""

from __future__ import annotations

import statistics
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from agent.data import Array, CameraState, Scene
from agent.detect.backends import Backend
from agent.detect.model import Model
from agent.device import updates
from agent.device.health import Health

SAMPLES = 20  # an int8 detector has thousands of outputs: two crops of noise already differ in some
BUSY, LOOKED, SLICE_S = 10, 15, 30.0  # five busy minutes at least; one look every two seconds makes busy
RECENT_S = 3600.0  # what the model before saw earlier is no measure: day and night differ
SURE = 0.9  # with something seen so often, ten empty half-minutes in a row are no chance
SLOWER, SLOW_MS = 4.0, 200.0  # a maker may choose a model twice or thrice as heavy; beyond, people walk past unseen
_RUNS = 50  # inferences before a median is believed
_SAMPLE_S = 1.0  # outputs are looked at so often; a checksum of an SSD's and its input took 0.4 ms (x86)


class Record:
    """How a model does; filled by one thread."""

    def __init__(self, labels: Iterable[str], certain: float) -> None:
        """`certain` is the confidence from which something counts as seen."""
        self.labels, self.certain = frozenset(labels), certain
        self.trouble = ""  # what is wrong with it beyond doubt
        self.ms: deque[float] = deque(maxlen=4 * _RUNS)  # of the last inferences
        self._slices: deque[tuple[float, bool]] = deque(maxlen=3 * BUSY)  # busy half-minutes: s, something was seen
        self._same, self._sums = 0, (0, 0)  # samples in a row; checksums of the last one's input and outputs
        self._begun, self._looked, self._saw = float("-inf"), 0, False  # the half-minute that goes on

    @property
    def seen(self) -> list[bool]:
        """Of each busy half-minute of the last hour with this model, whether something was seen in it."""
        return [saw for t, saw in self._slices if t > self._begun - RECENT_S]

    def scene(self, scene: Scene, now: float) -> None:
        """A frame that an inference was worth, or not; `now` in s."""
        if now - self._begun >= SLICE_S:
            if self._looked >= LOOKED:
                self._slices.append((now, self._saw))
            self._begun, self._looked, self._saw = now, 0, False
        if not scene.times.get("invoke"):
            return
        self._looked += 1
        self._saw |= bool(np.any(scene.detections.confidence >= self.certain))
        if not len(scene.detections):
            self._same = 0  # whoever cuts off what is weak says the same of every empty picture

    def sample(self, picture: int, outputs: Sequence[Array]) -> None:
        """Raw outputs, and a checksum of what they were made from."""
        if not all(np.isfinite(output).all() for output in outputs if output.dtype.kind == "f"):
            self.trouble = self.trouble or "its outputs are not numbers"
        told = 0
        for output in outputs:
            told = zlib.crc32(np.ascontiguousarray(output).data, told)
        before, self._sums = self._sums, (picture, told)
        if picture != before[0]:
            self._same = self._same + 1 if told == before[1] else 0
        if self._same >= SAMPLES:
            self.trouble = self.trouble or f"it said the same of {SAMPLES} pictures that differed"


class Watched:
    """A model's backend that keeps a record; a sink too, for what becomes of its outputs."""

    def __init__(self, model: Model, clock: Callable[[], float] = time.monotonic) -> None:
        self.inputs, self.outputs, self.runs_on = model.backend.inputs, model.backend.outputs, model.backend.runs_on
        self.record = Record(model.card.labels, model.card.confidence)
        self._backend, self._clock, self._sampled = model.backend, clock, float("-inf")
        self.threads = model.backend.threads

    @property
    def input(self) -> Array:
        """View of the input tensor; drop it before `run`."""
        return self._backend.input

    def run(self) -> list[Array]:
        """One inference; once a second a look at what comes out."""
        now = self._clock()
        is_sample = now - self._sampled >= _SAMPLE_S
        picture = zlib.crc32(self._backend.input.data) if is_sample else 0
        begin = time.perf_counter()
        outputs = self._backend.run()
        self.runs_on = self._backend.runs_on
        self.record.ms.append((time.perf_counter() - begin) * 1e3)
        if is_sample:
            self._sampled = now
            self.record.sample(picture, outputs)
        return outputs

    def use(self, threads: int) -> None:
        """Another number of threads from the next `run` on. Raises ModelError."""
        self._backend.use(threads)
        self.threads = threads

    def float_tensors(self) -> list[str]:
        """Names of the tensors that are not integers."""
        return self._backend.float_tensors()

    def on_scene(self, scene: Scene) -> None:
        """A frame was looked at."""
        self.record.scene(scene, self._clock())

    def on_camera(self, state: CameraState) -> None:
        """Of no interest."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a trial ended."""

    model: str | None  # its folder in the store
    why: str  # it has not proved itself; "": it has


class Trial:
    """Of the model that runs; its verdict is told once."""

    def __init__(self, model: str | None, now: Record, before: Record | None = None) -> None:
        """`model` is its folder's name in the store, None for one that is not on trial."""
        self._model, self._now, self._before = model, now, before
        self._is_over = model is None
        self._since: float | None = None  # s: since when frames have been looked at

    def verdict(self, health: Health) -> Verdict | None:
        """None: not yet. Called with the health every few seconds."""
        if self._is_over or health.fps <= 0:
            return None
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        trouble = self._now.trouble or (complaint(self._now, self._before) if self._before else "")
        if not trouble and now - self._since < updates.TRIAL_S:
            return None
        self._is_over = True
        return Verdict(self._model, trouble)


def complaint(now: Record, before: Record) -> str:
    """What the model does far worse than the one before; "" for nothing."""
    seen, usual = now.seen, before.seen
    is_known = len(usual) >= BUSY and sum(usual) >= SURE * len(usual) and now.labels >= before.labels
    if is_known and len(seen) >= BUSY and not any(seen):
        few = f"it saw nothing in {len(seen)} busy half-minutes"
        return f"{few}, the one before something in {sum(usual)} of {len(usual)}"
    if min(len(now.ms), len(before.ms)) < _RUNS:
        return ""
    ms, before_ms = statistics.median(now.ms), statistics.median(before.ms)
    if ms > max(SLOW_MS, SLOWER * before_ms):
        return f"an inference takes {ms:.0f} ms, with the one before it took {before_ms:.0f} ms"
    return ""


def watched(model: Model) -> Watched:
    """Put a watch on a model that is open; the one that it has already, where it has."""
    backend: Backend = model.backend
    if isinstance(backend, Watched):
        return backend
    made = model.backend = Watched(model)
    return made
