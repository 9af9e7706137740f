"""The loop: a frame becomes detections, tracks and a scene, and every sink is told."""

from __future__ import annotations

import contextlib
import difflib
import logging
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from agent import config, plugins
from agent.anomalies import wall_now
from agent.capture.mailbox import Mailbox
from agent.capture.supervisor import Supervisor
from agent.data import CameraState, Detections, Frame, Scene
from agent.detect.ahead import Begun
from agent.detect.detector import Detector
from agent.detect.model import Model, opened
from agent.detect.secondary.aside import Aside
from agent.detect.secondary.novelty import Watcher
from agent.detect.secondary.stage import Stage
from agent.detect.watch import Watch
from agent.publish.switches import Wanted
from agent.stages import Stages, Surroundings, check_second, labels_named, resolved
from agent.tally import Drops, Tally
from agent.track.counters import Counters

log = logging.getLogger(__name__)
_TICK_S = 0.5  # how often the cameras are checked while no frame comes


class Sink(Protocol):
    """Who is told about scenes and cameras; neither call may block."""

    def on_scene(self, scene: Scene) -> None:
        """A frame was looked at."""

    def on_camera(self, state: CameraState) -> None:
        """A camera came or went."""


class Pipeline:
    """One detector for all cameras, the other stages one for each."""

    def __init__(
        self, settings: config.Config, detector: Watch, sinks: Iterable[Sink], counters: Counters | None = None, *,
        state: Path | None = None, wall: Callable[[float], float] = wall_now,
        wanted: Callable[[str], Wanted] = lambda _: Wanted(),
    ) -> None:  # fmt: skip
        """`counters` None: zones and lines are counted from 0 and forgotten at the end.

        `state`: where anomalies keep what they learn, None: nowhere; `wall`: Unix s of a frame's t; `wanted`: what a
        camera should do just now, asked before each of its frames.
        """
        self.tally = Tally()
        self.stopping = False
        self._took = 0.0  # s for the last look
        self.slow_by = 1.0  # times the usual pause between two looks at a camera; a hot board asks for more
        self._settings, self._detector, self._sinks, self._wanted = settings, detector, tuple(sinks), wanted
        self._aside = Aside()
        self._around = Surroundings(counters or Counters(), state, wall, lambda path: Watcher(path, self._aside))
        self._second = self._second_looks()
        self._stages = {name: self._made(name) for name in settings.cameras}
        self._mailbox = Mailbox(settings.cameras)
        self._supervisors: dict[str, Supervisor] = {}
        self._begun: tuple[str, Begun] | None = None  # a camera's frame that is looked at aside of this thread

    def look(self, camera: str, frame: Frame) -> Scene:
        """One frame, from pixels to what the world hears, in one go."""
        return self._meant(camera, frame, self._detector.detect(camera, frame, self._stages[camera].tracks))

    def _meant(self, camera: str, frame: Frame, found: Detections) -> Scene:
        scene = self._tell(self._stages[camera].look(frame, found, self._detector.seen, self._detector.times))
        self.tally.add(scene)
        self._took = sum(scene.times.values()) / 1e3
        return scene

    def replay(self, camera: str, frames: Iterable[Frame] | None = None) -> Iterator[Scene]:
        """Every frame of one camera, or these instead, in this thread, as fast as it goes; nothing is dropped."""
        self._camera_changed(CameraState(camera, True, ""))
        for frame in frames_of(self._settings.cameras[camera]) if frames is None else frames:
            if self.stopping:
                break
            with self._stages[camera].cover as cover:
                cover.paint(frame)
            if self._is_due(camera, frame):
                yield self.look(camera, self._stages[camera].cleared(frame))
        self._stages[camera].close()

    def run(self, seconds: float | None = None, beat: Callable[[], None] = lambda: None) -> None:
        """Live: newest frame of each camera, until the sources end, `stopping` is set or `seconds` are over.

        `beat` is called once a round, in this thread: whoever hears nothing from it knows that the loop hangs.
        Raises CameraError for a source that cannot be, or three reads that hang.
        """
        drops = Drops(self._mailbox.dropped)
        deadline = time.monotonic() + seconds if seconds else float("inf")
        self._aside.start()
        for name in self._settings.cameras:
            self._open(name)
        try:
            while not (self.stopping or self._mailbox.ended or time.monotonic() >= deadline):
                if self._begun:
                    self._begun[1].wait()  # only now: the newest frame is the one that follows
                patience = 0.0 if self._begun else min(_TICK_S, max(0.0, deadline - time.monotonic()))
                self.hear(self._mailbox.take(patience))
                now = time.monotonic()
                for supervisor in self._supervisors.values():
                    supervisor.check(now)
                for stages in self._stages.values():
                    if stages.last and stages.shown and not stages.shown.online:  # no frame will come to ask
                        self._obey(stages, stages.last)
                drops.tell(now, self.tally)
                self.tally.dropped = sum(self._mailbox.dropped.values())
                beat()
        finally:
            self._settle()
            self._aside.stop()
            for supervisor in self._supervisors.values():
                supervisor.stop()
            for stages in self._stages.values():
                stages.close()

    def hear(self, item: tuple[str, Frame] | CameraState | None) -> None:
        """A word of the mailbox. Inference begins before what that of the frame before gave is read: see ahead.py."""
        if isinstance(item, tuple) and self._is_due(*item):
            if self._begun:
                self._begun[1].wait()
            camera, frame = item[0], self._stages[item[0]].cleared(item[1])
            begun = self._detector.begin(frame)
            self._settle()
            self._begun = (camera, begun) if begun else None
            if not begun:
                self.look(camera, frame)
            return
        self._settle()
        if isinstance(item, CameraState):
            self._camera_changed(item)

    def _settle(self) -> None:
        """A frame that was begun becomes a scene."""
        pending, self._begun = self._begun, None
        if pending:
            self._meant(pending[0], pending[1].frame, self._detector.read(pending[1]))

    def take_over(
        self, settings: config.Config, detector: Watch, sinks: Iterable[Sink], wanted: Callable[[str], Wanted]
    ) -> None:
        """Between two frames: from the next one on another config. What it leaves as it was goes on undisturbed."""
        self._settle()
        before, card = self._settings.cameras, detector.model.card
        for name, stages in list(self._stages.items()):
            stays = name in settings.cameras and _source(settings.cameras[name]) == _source(before[name])
            if stages.last and (not stays or stages.loses_tracks(settings, card)):
                self._tell(stages.rest(stages.last, "config"))
            if not stays:
                self._leave(name)
        is_other = (settings.second, list(settings.cameras)) != (self._settings.second, list(before))
        is_other = is_other or card.labels != self._detector.model.card.labels
        self._settings, self._detector, self._sinks, self._wanted = settings, detector, tuple(sinks), wanted
        self._second = self._second_looks() if is_other else self._second
        for name in settings.cameras:
            if name in self._stages:
                self._stages[name].renew(settings, card)
                self._stages[name].wanted = None  # to be obeyed once more: the detector may be another
                if shown := self._stages[name].shown:
                    self._camera_changed(shown)
            else:
                self._stages[name] = self._made(name)
                self._open(name)

    def _second_looks(self) -> Stage:
        known, labels = self._settings, self._detector.model.card.labels
        return Stage(known.second, known.state_dir, list(known.cameras), labels, self._aside)

    def _made(self, name: str) -> Stages:
        return Stages(name, self._settings, self._detector.model.card, self._around)

    def _open(self, name: str) -> None:
        camera = self._settings.cameras[name]
        kind = plugins.get("capture/cameras", camera.kind)
        self._mailbox.add(name)
        self._supervisors[name] = Supervisor(
            *(name, lambda: frames_of(camera), self._mailbox), stale_s=camera.stale_s, live=kind.LIVE, noisy=kind.NOISY,
            cover=self._stages[name].cover,
        )  # fmt: skip
        self._supervisors[name].start()

    def _leave(self, name: str) -> None:
        """The camera goes, or comes back as another."""
        self._supervisors.pop(name).stop()
        self._mailbox.remove(name)
        self._stages.pop(name).leave()
        self._detector.forget(name)
        self._second.forget(name)
        for sink in self._sinks:
            sink.on_camera(CameraState(name, False, "not as it was in the config"))

    def _camera_changed(self, state: CameraState) -> None:
        stages = self._stages.get(state.camera)
        if stages is None:  # the last word of one that is not in the config any more
            return
        if state != stages.shown:
            log.info("camera %s: %s", state.camera, "online" if state.online else f"offline, {state.reason}")
        stages.shown = state
        for sink in self._sinks:
            sink.on_camera(state)

    def _is_due(self, camera: str, frame: Frame) -> bool:
        stages = self._stages.get(camera)
        if stages is None:
            return False
        stages.last = frame
        self._obey(stages, frame)
        if not stages.watching:
            return False
        pause = 1 / stages.fps if stages.fps else 0.0  # s
        if self.slow_by > 1:
            pause = self.slow_by * max(pause, self._took)
        if frame.t < stages.due - 0.1 * pause:  # a frame a little early is the one meant
            return False
        stages.due = max(stages.due + pause, frame.t)
        return True

    def _obey(self, stages: Stages, frame: Frame) -> None:
        """What is wanted now; who stops looking says so once, with a scene without tracks."""
        wanted = self._wanted(stages.name)
        if wanted == stages.wanted:
            return
        self._settle()
        looked, stages.due = stages.watching, float("-inf")
        stages.obey(wanted)
        if stages.hidden != stages.cover.masks:
            stages.hide(frame, self._mailbox)
            self._detector.forget(stages.name)
            self._second.forget(stages.name)
            if stages.shown and not stages.shown.online:  # its last picture, covered, takes the place of the open one
                self._tell(stages.rest(frame, "a privacy mask was changed"))
        self._detector.tune(stages.name, stages.motion_masks, stages.limits.high or 0.0, stages.limits.low)
        if looked and not stages.watching:
            self._tell(stages.rest(frame, "detection off"))

    def _tell(self, scene: Scene) -> Scene:
        """To every sink, with what second looks say; that scene."""
        scene = self._second.add(scene)
        for sink in self._sinks:
            sink.on_scene(scene)
        return scene


@contextlib.contextmanager
def stopped_by_signals(pipeline: Pipeline) -> Iterator[None]:
    """SIGTERM and the first Ctrl-C end the loop after the current frame; a second Ctrl-C ends the process."""

    def stop(number: int, _: object) -> None:
        pipeline.stopping = True
        signal.signal(number, before[number])

    before = {int(number): signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_detector(settings: config.Config, path: Path | None = None, model: Model | None = None) -> Watch:
    """The detector that the config asks for; `path` is where the config stands, for errors; `model` one that is open.

    Raises ModelError, or ConfigError for a label that the model does not know.
    """
    wanted = settings.model
    model = model or opened(wanted, settings.state_dir)
    for where, label in labels_named(settings):
        known = wanted.labels if where[0] != "model" and wanted.labels else model.card.labels
        if label not in known:
            near = difflib.get_close_matches(label, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            whose = f"label of {model.name}" if known is model.card.labels else "label that is reported"
            raise config.complaint(path, where, f"{label!r} is not a {whose}{hint}")
    check_second(settings, path)
    # weak detections too: they may not found a track, but they keep one going
    limits = resolved(settings, model.card.confidence)
    detector = Detector(model, confidence=limits.low, only=wanted.labels)
    masks = {name: camera.motion_masks for name, camera in settings.cameras.items()}
    return Watch(detector, settings.detect, masks, certain=limits.high)


def frames_of(camera: config.Camera) -> Iterator[Frame]:
    """The camera's frames, straight from its plugin."""
    frames: Iterator[Frame] = plugins.get("capture/cameras", camera.kind).frames(camera.options)
    return frames


def _source(camera: config.Camera) -> tuple[object, ...]:
    """What makes it another camera when it changes."""
    return camera.kind, camera.options, camera.stale_s
