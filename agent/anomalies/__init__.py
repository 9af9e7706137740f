"""What is not as it should be, and why in words: loitering, crowding, wrong_way, tamper, unusual, ...

A kind is a file here, chosen by [cameras.CAMERA.anomalies.NAME] and its `kind` (without one, NAME is the kind). It has
`Options`, a msgspec struct, and `create(options, place) -> Anomaly`. What several kinds share stands in parts/.

An anomaly tells of an episode twice: when it begins ("anomaly_start") and when it is over ("anomaly_end"), never in
between. It names its reason in words, the measured value, the limit and, where something was learned, the baseline.
It keeps bounded state and time in seconds; it never sleeps, sends or raises on purpose: what it raises is logged and
costs that one call.

    parts/episodes    the two edges of an episode, with hysteresis, and their events
    parts/whom        the tracks that an anomaly is about: labels, zones
    parts/schedule    "mon-fri 22:00-06:00", as the clock on the wall has it
    parts/ground      a place in the picture -> metres on the ground
    parts/glance      one small picture of each frame, for all who look at pictures
    parts/middle      the median of a few numbers
    parts/still       what stands still in the picture and was not there before
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Protocol

from agent import plugins
from agent.anomalies.parts.glance import Glance
from agent.areas import Line, Zone
from agent.data import Event, Frame, LookoutError, Scene, Strange

log = logging.getLogger(__name__)
EVERY_S = 0.2  # what walks needs no more looks at where it is
_EPSILON_S = 1e-3  # three frames of 1/15 s are 0.2 s
_COMPLAIN_S = 60.0  # an anomaly that raises is logged at most so often


def wall_now(t: float) -> float:
    """Unix s of monotonic `t`, by the machine's clocks."""
    return time.time() - (time.monotonic() - t)


class Watcher(Protocol):
    """A second model that looks at one place, aside of the loop."""

    def ask(self, frame: Frame) -> bool:
        """Have a frame looked at; False where the answer to the last one was not taken yet."""

    def answer(self) -> Strange | None:
        """What came of it, once; None while there is nothing."""


def nobody(file: Path) -> Watcher:
    """Stands where nothing is there to look with."""
    raise LookoutError(f"{file}: no second model can be run here")


@dataclass(frozen=True, slots=True)
class Place:
    """What an anomaly may know of where it is: its camera, what is drawn there, the model's words, the clock."""

    camera: str
    name: str  # of the anomaly in the config: the source of its events
    kind: str
    labels: Sequence[str] = ()  # name of each class id
    zones: Mapping[str, Zone] = field(default_factory=dict)  # in the order of the rows of Scene.inside
    lines: Mapping[str, Line] = field(default_factory=dict)
    folder: Path | None = None  # where it may keep files, named after itself; None: nothing outlives the run
    wall: Callable[[float], float] = wall_now  # monotonic s -> Unix s; it may jump
    time_zone: tzinfo | None = None  # None: the machine's own
    second: Callable[[Path], Watcher] = nobody  # opens a second model; raises LookoutError
    glance: Glance = field(default_factory=Glance)  # small pictures of the camera's frames

    def local(self, t: float) -> datetime:
        """The time on a clock on the wall at monotonic `t`, daylight saving and all."""
        return datetime.fromtimestamp(self.wall(t), UTC).astimezone(self.time_zone)

    def label(self, class_id: int) -> str:
        """The name of a class; its number for one without."""
        return self.labels[class_id] if 0 <= class_id < len(self.labels) else str(class_id)


class Anomaly:
    """One kind at one camera. All calls come from one thread, in the order of the frames."""

    every_s: float = 0.0  # it is asked no more often than that; what it missed of `Scene.events` comes with the next
    score: float = 0.0  # 0..1 at the last frame: how near its strongest case is to its limit, which is at 0.5
    strange: Strange | None = None  # what a second model has just said, of this frame or one shortly before

    def update(self, scene: Scene) -> list[Event]:
        """A frame was looked at -> what began and what ended, as Episodes words it.

        Tracks that ended are in scene.events ("track_end"): what is remembered of them can go.
        """
        raise NotImplementedError

    def close(self) -> None:
        """The agent stops: what must survive goes to `place.folder` now. Updates may still follow."""


class Anomalies:
    """All anomalies of one camera."""

    def __init__(self, chosen: Iterable[tuple[Any, Place]]) -> None:
        """`chosen`: the options of each, typed by its kind, and its place."""
        self._all = {place.name: create(options, place) for options, place in chosen}
        self._complained = dict.fromkeys(self._all, float("-inf"))  # s, monotonic
        self._open: dict[tuple[str, Any], Event] = {}  # what began and is not over, by source and episode
        self._asked: dict[str, tuple[float, tuple[Event, ...]]] = {}  # s: each for the last time; what happened since
        self._last = (0.0, 0)  # t and seq of the last frame

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, name: str) -> Anomaly:
        return self._all[name]

    def look(self, scene: Scene) -> Scene:
        """The scene with its anomalies, the strongest score among them, and what that took."""
        if not self._all:
            return scene
        begin, events = time.perf_counter(), list[Event]()
        for name, anomaly in self._all.items():
            mine = self._since(name, anomaly.every_s, scene)
            try:
                events += anomaly.update(mine) if mine else ()
            except Exception:  # the others, and the frames to come, go on
                self._complain(scene.camera, name)
        for event in events:
            key = event.source, event.detail.get("episode")
            if event.kind == "anomaly_start":
                self._open[key] = event
            else:
                self._open.pop(key, None)
        self._last = scene.frame.t, scene.frame.seq
        score = max(anomaly.score for anomaly in self._all.values())
        times = {**scene.times, "anomalies": (time.perf_counter() - begin) * 1e3}
        strange = {name: anomaly.strange for name, anomaly in self._all.items() if anomaly.strange is not None}
        return replace(scene, anomalies=tuple(events), anomaly_score=score, times=times, strange=strange)

    def cut_off(self, why: str) -> tuple[Event, ...]:
        """The ends of what is going on, for when nobody will watch it any more."""
        t, seq = self._last
        began, self._open = self._open.values(), {}
        return tuple(
            replace(
                event,
                kind="anomaly_end",
                t=t,
                seq=seq,
                detail={
                    **event.detail,
                    "reason": f"{why}: {event.detail['reason']}",
                    "lasted_s": max(0.0, t - event.t),
                },
            )
            for event in began
        )

    def close(self) -> None:
        """Let each keep what it must."""
        for name, anomaly in self._all.items():
            try:
                anomaly.close()
            except Exception:
                log.exception("anomaly %s: what it learned since it last saved is lost", name)

    def _since(self, name: str, every_s: float, scene: Scene) -> Scene | None:
        """The scene with all that happened since this one was asked; None: it is not due yet."""
        t = scene.frame.t
        before, missed = self._asked.get(name, (float("-inf"), ()))
        if 0 <= t - before < every_s - _EPSILON_S:
            self._asked[name] = before, (*missed, *scene.events)
            return None
        self._asked[name] = t, ()
        return replace(scene, events=(*missed, *scene.events)) if missed else scene

    def _complain(self, camera: str, name: str) -> None:
        now = time.monotonic()
        if now - self._complained[name] >= _COMPLAIN_S:
            self._complained[name] = now
            log.exception("anomaly %s of camera %s: unexpected; it goes on with the next frame", name, camera)


def create(options: Any, place: Place) -> Anomaly:
    """One anomaly, of the kind that the place names."""
    made: Anomaly = plugins.get("anomalies", place.kind).create(options, place)
    return made
