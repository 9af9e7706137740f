"""What one camera has of its own behind the detector, and what it should do just now.

    detections ──▶ tracker ──▶ zones, lines ──▶ anomalies ──▶ Scene

A changed config renews what it changes: a camera that is drawn as before keeps its tracks and its counts. Zones and
lines go together: where one of a camera's is drawn anew, those who stand in the others are counted in once more.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from agent import config
from agent.anomalies import Anomalies, Place, Watcher, nobody, wall_now
from agent.anomalies.parts.glance import Glance
from agent.areas import Point
from agent.capture.mailbox import Mailbox
from agent.capture.privacy import Cover, Masks
from agent.data import Array, CameraState, Detections, Event, Frame, Scene, Tracks
from agent.detect import proof
from agent.detect.enhance import Enhance
from agent.detect.secondary import memory, stage
from agent.modelfile import Card, ModelError
from agent.publish.switches import Wanted
from agent.track.counters import Counters
from agent.track.tracker import Tracker
from agent.track.zones import Zones


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the stages of all cameras share."""

    counters: Counters
    state: Path | None = None  # where anomalies keep what they learn; None: nowhere
    wall: Callable[[float], float] = wall_now  # monotonic s -> Unix s
    second: Callable[[Path], Watcher] = nobody  # opens a second model


class Stages:
    """One camera's tracker, zones and anomalies; made anew only when the camera itself is another."""

    def __init__(self, name: str, settings: config.Config, card: Card, around: Surroundings) -> None:
        self.name = name
        self.tracks = Tracks.empty()  # of the last frame
        self.wanted: Wanted | None = None  # what was asked for from outside and is obeyed; None: not asked yet
        self.shown: CameraState | None = None  # whether the camera is there, as last told
        self.last: Frame | None = None
        self.due = float("-inf")  # s: frames before it are not looked at
        self._around, self._labels = around, card.labels
        self._section, self._zone = settings.cameras[name], settings.time_zone
        self._options, self._recommended = settings.tracker, resolved(settings, card.confidence)
        self._tracker = Tracker(self._recommended, self._labels)
        self.cover = Cover(self._section.privacy_masks)
        self._enhance = Enhance()
        self._zones = self._drawn()
        self._anomalies = self._watched()
        self._cut_off: tuple[Event, ...] = ()  # ends of anomalies that are watched for no more, to be told

    @property
    def watching(self) -> bool:
        """Whether its frames are looked at."""
        return self.wanted is None or self.wanted.detection is not False

    @property
    def fps(self) -> float | None:
        """At most so many frames a second are looked at; None: all that can be."""
        asked = self.wanted.fps if self.wanted else None
        fps: float | None = self._section.fps if asked is None else asked
        return fps

    @property
    def motion_masks(self) -> Sequence[Sequence[Point]]:
        """Polygons 0..1 in which no movement counts."""
        asked = self.wanted.motion_masks if self.wanted else None
        masks: Sequence[Sequence[Point]] = self._section.motion_masks if asked is None else asked
        return masks

    @property
    def hidden(self) -> Masks:
        """Polygons 0..1 that nobody may see: the config's, and what was asked for beside them."""
        asked = self.wanted.privacy_masks if self.wanted else None
        return (*self._section.privacy_masks, *(asked or ()))

    @property
    def limits(self) -> config.Tracker:
        """The tracker's options, with the confidence that was asked for."""
        asked = self.wanted.confidence if self.wanted else None
        if asked is None:
            return self._recommended
        return msgspec.structs.replace(self._recommended, high=asked, low=min(self._recommended.low, asked))

    def obey(self, wanted: Wanted) -> None:
        """From the next frame on."""
        self.wanted = wanted
        self._tracker.tune(self.limits)

    def loses_tracks(self, settings: config.Config, card: Card) -> bool:
        """Whether such a config and model need another tracker."""
        fixed = [(options.alike, options.max_tracks) for options in (self._options, settings.tracker)]
        return fixed[0] != fixed[1] or card.labels != self._labels

    def renew(self, settings: config.Config, card: Card) -> None:
        """From the next frame on another config of the same camera, maybe another model."""
        section, before = settings.cameras[self.name], self._section
        is_redrawn = (section.zones, section.lines) != (before.zones, before.lines) or card.labels != self._labels
        is_rewatched = (section.anomalies, settings.time_zone) != (before.anomalies, self._zone) or is_redrawn
        if self.loses_tracks(settings, card):
            self._tracker, self.tracks = Tracker(settings.tracker, card.labels), Tracks.empty()
        self._section, self._zone, self._labels = section, settings.time_zone, card.labels
        self._options, self._recommended = settings.tracker, resolved(settings, card.confidence)
        self._tracker.tune(self.limits)
        if is_redrawn:
            self._erase(before, kept={**section.zones, **section.lines})
            self._zones = self._drawn()
        if is_rewatched:
            self._watch_anew("the config was changed")

    def hide(self, frame: Frame, mailbox: Mailbox) -> None:
        """What is hidden has changed, from this frame on; what anomalies learned of the picture is forgotten."""
        with self.cover:
            mailbox.discard(self.name)
            self.cover.hide(self.hidden)
            self.cover.paint(frame)
        self._enhance.forget()
        self._watch_anew("a privacy mask was changed")

    def cleared(self, frame: Frame) -> Frame:
        """The frame as all behind are to see it."""
        return self._enhance(frame) if self._section.enhance else frame

    def look(self, frame: Frame, found: Detections, seen: Array | None, times: Mapping[str, float]) -> Scene:
        """What a frame's detections mean; `seen` as Tracker.update has it, `times` ms of the stages before."""
        begin = time.perf_counter()
        self.tracks, events = self._tracker.update(found, frame.t, frame.seq, seen)
        return dataclasses.replace(self._scene(frame, found, events, times, begin), seen=seen)

    def rest(self, frame: Frame, reason: str) -> Scene:
        """Nobody looks any more: every track ends, zones are left."""
        begin = time.perf_counter()
        self.tracks, events = Tracks.empty(), self._tracker.end(reason, frame.t, frame.seq)
        return self._scene(frame, Detections.empty(), events, {}, begin)

    def close(self) -> None:
        """What anomalies learned is kept."""
        self._anomalies.close()

    def leave(self) -> None:
        """The camera is in no config any more."""
        self.close()
        self._erase(self._section, kept=())

    def _scene(
        self, frame: Frame, found: Detections, events: list[Event], times: Mapping[str, float], begin: float
    ) -> Scene:
        ended = [event.track_id for event in events if event.kind == "track_end" and event.track_id is not None]
        inside, crossings = self._zones.update(
            self.tracks, self._labels, frame.size, t=frame.t, seq=frame.seq, ended=ended
        )
        events = sorted([*events, *crossings], key=lambda event: event.kind == "track_end")  # its last word comes last
        events = [dataclasses.replace(event, source=event.source or self.name) for event in events]
        times = {**times, "track": (time.perf_counter() - begin) * 1e3}
        if self._section.enhance:
            times["enhance"] = self._enhance.ms
        scene = Scene(
            *(self.name, frame, found, self.tracks, tuple(events), times, inside),
            private=self._private(found),
            hidden=self.cover.masks,
        )
        scene = self._anomalies.look(scene)
        if self._cut_off:
            scene, self._cut_off = dataclasses.replace(scene, anomalies=(*self._cut_off, *scene.anomalies)), ()
        return scene

    def _private(self, found: Detections) -> Array:
        """(K, 4) float32 px xyxy of what no picture may show clearly: as found, and as followed."""
        wanted = [class_id for class_id, label in enumerate(self._labels) if label in self._section.blur]
        if not wanted:
            return np.zeros((0, 4), np.float32)
        boxes = np.concatenate([one.xyxy[np.isin(one.class_id, wanted)] for one in (found, self.tracks)])
        if self._section.blur_part == "upper":
            boxes[:, 3] = boxes[:, 1] + (boxes[:, 3] - boxes[:, 1]) / 3
        return boxes

    def _drawn(self) -> Zones:
        return Zones(self.name, self._section.zones, self._section.lines, self._around.counters)

    def _erase(self, section: config.Camera, kept: Collection[str]) -> None:
        """Nobody stands in its zones any more, and those that are not `kept` are not told of."""
        for zone in section.zones:
            self._around.counters.occupy(self.name, zone, {})
        for area in {**section.zones, **section.lines}.keys() - kept:
            self._around.counters.withdraw(self.name, area)

    def _watch_anew(self, reason: str) -> None:
        self._cut_off += self._anomalies.cut_off(reason)
        self._anomalies.close()
        self._anomalies = self._watched()

    def _watched(self) -> Anomalies:
        """What is watched for at this camera."""
        one, state, glance = self._section, self._around.state, Glance()
        places = [
            Place(
                *(self.name, name, found.kind, self._labels, one.zones, one.lines),
                folder=state / "anomalies" / self.name if state else None,
                wall=self._around.wall,
                time_zone=ZoneInfo(self._zone) if self._zone else None,
                second=self._around.second,
                glance=glance,
            )
            for name, found in one.anomalies.items()
        ]
        return Anomalies(zip([found.options for found in one.anomalies.values()], places, strict=True))


def resolved(settings: config.Config, recommended: float) -> config.Tracker:
    """The tracker's options, with the model's confidence where they name none of their own."""
    options = settings.tracker
    confidence = recommended if settings.model.confidence is None else settings.model.confidence
    high = confidence if options.high is None else options.high
    return msgspec.structs.replace(options, high=high, low=min(options.low, high))


def check_second(settings: config.Config, path: Path | None) -> None:
    """The files of second models are there, whole and harmless (proof.py); else ConfigError, before anything begins."""
    for name, camera in settings.cameras.items():
        for anomaly, chosen in camera.anomalies.items():
            if file := getattr(chosen.options, "file", None):
                try:
                    memory.read(file)
                    proof.introduced(file, settings.state_dir)
                except ModelError as error:
                    where = ("cameras", name, "anomalies", anomaly, "file")
                    raise config.complaint(path, where, str(error)) from error
    for name, second in settings.second.items():
        if file := getattr(second.options, "file", None):
            try:
                proof.introduced(file, settings.state_dir)
            except ModelError as error:
                raise config.complaint(path, ("second", name), str(error)) from error
    for name, why in stage.flaws(settings.second, settings.state_dir):
        raise config.complaint(path, ("second", name), why)


def labels_named(settings: config.Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every label in the config, with the key it stands under."""
    for label in settings.model.labels:
        yield ("model", "labels"), label
    yield from ((("second", name, "labels"), label) for name, one in settings.second.items() for label in one.labels)
    for name, camera in settings.cameras.items():
        yield from ((("cameras", name, "blur"), label) for label in camera.blur)
        for kind, areas in (("zones", camera.zones), ("lines", camera.lines), ("anomalies", _options(camera))):
            for area, drawn in areas.items():
                for label in getattr(drawn, "labels", ()):
                    yield ("cameras", name, kind, area, "labels"), label


def _options(camera: config.Camera) -> dict[str, Any]:
    return {name: anomaly.options for name, anomaly in camera.anomalies.items()}
