"""The loop: a frame becomes detections, tracks and a scene, and every sink is told."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import logging
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from agent import config, plugins
from agent.capture.mailbox import Mailbox
from agent.capture.supervisor import Supervisor
from agent.data import CameraState, Frame, Scene, Tracks
from agent.detect.detector import Detector
from agent.detect.model import Model
from agent.detect.watch import Watch
from agent.track.counters import Counters
from agent.track.tracker import Tracker
from agent.track.zones import Zones

log = logging.getLogger(__name__)
_TICK_S = 0.5  # how often the cameras are checked while no frame comes
_DROPS_TOLD_S = 10.0


class Sink(Protocol):
    """Who is told about scenes and cameras; neither call may block."""

    def on_scene(self, scene: Scene) -> None:
        """A frame was looked at."""

    def on_camera(self, state: CameraState) -> None:
        """A camera came or went."""


@dataclasses.dataclass(slots=True)
class Tally:
    """What the loop did since it began."""

    frames: int = 0
    detections: int = 0
    tracks: int = 0  # confirmed, each counted once
    dropped: int = 0  # frames that no one looked at because a newer one had come
    stage_ms: dict[str, float] = dataclasses.field(default_factory=dict)  # sum of ms per stage

    def add(self, scene: Scene) -> None:
        """Count one scene."""
        self.frames += 1
        self.detections += len(scene.detections)
        self.tracks += sum(event.kind == "track_start" for event in scene.events)
        for stage, ms in scene.times.items():
            self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + ms

    def mean_ms(self) -> dict[str, float]:
        """ms per stage of a mean frame."""
        return {stage: ms / self.frames for stage, ms in self.stage_ms.items()} if self.frames else {}


class Pipeline:
    """One detector for all cameras, one tracker for each."""

    def __init__(
        self, settings: config.Config, detector: Watch, sinks: Iterable[Sink], counters: Counters | None = None
    ) -> None:
        """`counters` None: zones and lines are counted from 0 and forgotten at the end."""
        self.tally = Tally()
        self.stopping = False
        self._took = 0.0  # s for the last look
        self.slow_by = 1.0  # times the usual pause between two looks at a camera; a hot board asks for more
        self._settings, self._detector, self._sinks = settings, detector, tuple(sinks)
        self._tracks = dict.fromkeys(settings.cameras, Tracks.empty())  # of each camera's last frame
        options, self._labels = _resolved(settings, detector.model.card.confidence), detector.model.card.labels
        self._trackers = {name: Tracker(options, self._labels) for name in settings.cameras}
        counters = counters or Counters()
        self._zones = {name: Zones(name, one.zones, one.lines, counters) for name, one in settings.cameras.items()}
        self._next = dict.fromkeys(settings.cameras, float("-inf"))  # s: frames before it are not looked at

    def look(self, camera: str, frame: Frame) -> Scene:
        """One frame, from pixels to what the world hears."""
        detections = self._detector.detect(camera, frame, self._tracks[camera])
        begin = time.perf_counter()
        tracks, events = self._trackers[camera].update(detections, frame.t, frame.seq, self._detector.seen)
        self._tracks[camera] = tracks
        ended = [event.track_id for event in events if event.kind == "track_end" and event.track_id is not None]
        inside, crossings = self._zones[camera].update(
            tracks, self._labels, frame.size, t=frame.t, seq=frame.seq, ended=ended
        )
        events = sorted([*events, *crossings], key=lambda event: event.kind == "track_end")  # its last word comes last
        events = [dataclasses.replace(event, source=event.source or camera) for event in events]
        times = {**self._detector.times, "track": (time.perf_counter() - begin) * 1e3}
        scene = Scene(camera, frame, detections, tracks, tuple(events), times, inside)
        for sink in self._sinks:
            sink.on_scene(scene)
        self.tally.add(scene)
        self._took = sum(times.values()) / 1e3
        return scene

    def replay(self, camera: str) -> Iterator[Scene]:
        """Every frame of one camera, in this thread, as fast as it goes; nothing is dropped."""
        self._camera_changed(CameraState(camera, True, ""))
        for frame in frames_of(self._settings.cameras[camera]):
            if self.stopping:
                return
            if self._is_due(camera, frame):
                yield self.look(camera, frame)

    def run(self, seconds: float | None = None, beat: Callable[[], None] = lambda: None) -> None:
        """Live: newest frame of each camera, until the sources end, `stopping` is set or `seconds` are over.

        `beat` is called once a round, in this thread: whoever hears nothing from it knows that the loop hangs.
        Raises CameraError for a source that cannot be, or three reads that hang.
        """
        mailbox = Mailbox(self._settings.cameras)
        supervisors = [_supervisor(name, camera, mailbox) for name, camera in self._settings.cameras.items()]
        drops = _Drops(mailbox.dropped)
        deadline = time.monotonic() + seconds if seconds else float("inf")
        for supervisor in supervisors:
            supervisor.start()
        try:
            while not (self.stopping or mailbox.ended or time.monotonic() >= deadline):
                item = mailbox.take(min(_TICK_S, max(0.0, deadline - time.monotonic())))
                if isinstance(item, CameraState):
                    self._camera_changed(item)
                elif item and self._is_due(*item):
                    self.look(*item)
                now = time.monotonic()
                for supervisor in supervisors:
                    supervisor.check(now)
                drops.tell(now, self.tally)
                self.tally.dropped = sum(mailbox.dropped.values())
                beat()
        finally:
            for supervisor in supervisors:
                supervisor.stop()

    def _camera_changed(self, state: CameraState) -> None:
        log.info("camera %s: %s", state.camera, "online" if state.online else f"offline, {state.reason}")
        for sink in self._sinks:
            sink.on_camera(state)

    def _is_due(self, camera: str, frame: Frame) -> bool:
        fps = self._settings.cameras[camera].fps
        pause = 1 / fps if fps else 0.0  # s
        if self.slow_by > 1:
            pause = self.slow_by * max(pause, self._took)
        if frame.t < self._next[camera] - 0.1 * pause:  # a frame a little early is the one meant
            return False
        self._next[camera] = max(self._next[camera] + pause, frame.t)
        return True


class _Drops:
    """Tells once a period how many frames were dropped, and which stage is too slow."""

    def __init__(self, dropped: Mapping[str, int]) -> None:
        self._dropped, self._told, self._since = dropped, dict(dropped), time.monotonic()

    def tell(self, now: float, tally: Tally) -> None:
        if now - self._since < _DROPS_TOLD_S:
            return
        for camera, count in self._dropped.items():
            if count > self._told[camera]:
                stages = tally.mean_ms()
                slowest = max(stages, key=stages.__getitem__, default="start")
                log.info(
                    *("camera %s: dropped %d frames in %.0f s: %s takes %.0f ms", camera, count - self._told[camera]),
                    *(now - self._since, slowest, stages.get(slowest, 0.0)),
                )
        self._told, self._since = dict(self._dropped), now


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


def _resolved(settings: config.Config, recommended: float) -> config.Tracker:
    """The tracker's options, with the model's confidence where they name none of their own."""
    options = settings.tracker
    confidence = recommended if settings.model.confidence is None else settings.model.confidence
    high = confidence if options.high is None else options.high
    return msgspec.structs.replace(options, high=high, low=min(options.low, high))


def open_detector(settings: config.Config, path: Path | None = None) -> Watch:
    """The detector that the config asks for; `path` is where the config stands, for errors.

    Raises ModelError, or ConfigError for a label that the model does not know.
    """
    wanted = settings.model
    model = Model(wanted.file, backend=wanted.backend, threads=wanted.threads, labels_file=wanted.labels_file)
    for where, label in _labels_named(settings):
        known = wanted.labels if where[0] == "cameras" and wanted.labels else model.card.labels
        if label not in known:
            near = difflib.get_close_matches(label, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            whose = f"label of {model.name}" if known is model.card.labels else "label that is reported"
            raise config.complaint(path, where, f"{label!r} is not a {whose}{hint}")
    # weak detections too: they may not found a track, but they keep one going
    detector = Detector(model, confidence=settings.tracker.low, only=wanted.labels)
    masks = {name: camera.masks for name, camera in settings.cameras.items()}
    return Watch(detector, settings.detect, masks, certain=_resolved(settings, model.card.confidence).high)


def _labels_named(settings: config.Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every label in the config, with the key it stands under."""
    for label in settings.model.labels:
        yield ("model", "labels"), label
    for name, camera in settings.cameras.items():
        for kind, areas in (("zones", camera.zones), ("lines", camera.lines)):
            for area, drawn in areas.items():
                for label in drawn.labels:
                    yield ("cameras", name, kind, area, "labels"), label


def frames_of(camera: config.Camera) -> Iterator[Frame]:
    """The camera's frames, straight from its plugin."""
    frames: Iterator[Frame] = plugins.get("capture/cameras", camera.kind).frames(camera.options)
    return frames


def _supervisor(name: str, camera: config.Camera, mailbox: Mailbox) -> Supervisor:
    kind = plugins.get("capture/cameras", camera.kind)
    return Supervisor(
        name, lambda: frames_of(camera), mailbox, stale_s=camera.stale_s, live=kind.LIVE, noisy=kind.NOISY
    )
