"""A whole pipeline before two red things, what each behind the camera was given, and every picture made of it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from agent import config, pipeline
from agent.data import Array, Event, Frame, Scene, Strange
from agent.detect.detector import Detector
from agent.detect.watch import Watch
from agent.pipeline import Pipeline
from agent.publish import Live, Received, Scope, pictures, wire
from agent.publish.payloads import Model
from agent.publish.switches import Switches, Wanted
from agent.publish.topics import anomalies, command, events
from tests.detect.eye import RED, Eye, paint
from tests.fakes import scenes
from tests.fakes.clock import FixedClock

SIZE = (320, 192)


SECRET, WITNESS = (20, 30, 70, 110), (200, 60, 250, 140)  # px xyxy of two red things


HIDDEN = ((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0))  # the left of the picture


def reds(picture: Array) -> int:
    """Pixels as red as what is painted, JPEG's losses included: (H, W, 3) RGB."""
    far = np.abs(picture.astype(int) - RED).max(axis=-1)
    return int((far < 70).sum())


def left(picture: Array) -> Array:
    return picture[:, : int(picture.shape[1] * 0.36)]


def decoded(data: bytes) -> Array:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


class Remembering(Eye):
    """Remembers what was put before it: (96, 96, 3) each."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Array] = []
        run = self.backend.run

        def remembered() -> Any:
            self.inputs.append(self.backend.input[0].copy())
            return run()

        self.backend.run = remembered


class World:
    """A whole pipeline from a camera's thread on, and what each of those behind it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **camera: Any) -> None:
        self.model, self.scenes, self.second = Remembering(), [], []
        self.settings, self.wanted = self.made(**camera), Wanted()
        self.watch = Watch(Detector(self.model), self.settings.detect)

        def ask(frame: Frame) -> bool:
            self.second.append(frame.image.copy())
            return False

        watcher = SimpleNamespace(ask=ask, answer=lambda: None)
        monkeypatch.setattr(pipeline, "Watcher", lambda *_: watcher)
        monkeypatch.setattr(pipeline, "frames_of", lambda _: self.frames())
        self.pipeline = Pipeline(self.settings, self.watch, [self], wanted=lambda _: self.wanted)

    def made(self, **camera: Any) -> config.Config:
        file = Path("none.tflite")
        kind = pipeline.plugins.get("anomalies", "novelty")
        watched = {"strange": config.Anomaly("novelty", kind.Options(file=file, every_s=0.1))}
        yard = msgspec.structs.replace(config.camera("synthetic"), anomalies=watched, **camera)
        return config.Config({"yard": yard}, device="pi", detect=config.Detect(mode="full"))

    def frames(self) -> Iterator[Frame]:
        for seq in itertools.count():
            time.sleep(0.01)
            yield Frame(paint(SIZE, SECRET, WITNESS, seed=seq), seq, time.monotonic())

    def run(self, count: int) -> list[Scene]:
        """So many more scenes."""
        begin = len(self.scenes)
        self.steps = [begin + count]
        self.pipeline.stopping = False
        self.pipeline.run(30, beat=self.beat)
        return self.scenes[begin:]

    def beat(self) -> None:
        if len(self.scenes) >= self.steps[0]:
            self.pipeline.stopping = True

    def on_scene(self, scene: Scene) -> None:
        self.scenes.append(scene)

    def on_camera(self, _: object) -> None: ...


def jpegs(told: list[Scene]) -> Iterator[tuple[str, Array]]:
    """Every picture that MQTT and the page make of scenes."""
    sender = wire.Sender("pi", ("person",), Model("eye", "ab"), FixedClock())
    scope = Scope("lookout/pi", sender, ("yard",), {}, None, Switches(("yard",), None))
    topics = [
        command.create(command.Options(enabled=True), scope),
        events.create(events.Options(snapshots=True), scope),
        anomalies.create(anomalies.Options(snapshots=True), scope),
    ]
    last = told[-1]
    ends = tuple(Event("track_end", last.frame.t, 0, "yard", int(n), {}) for n in last.tracks.track_id)
    begins = Event("anomaly_start", last.frame.t, 0, "strange", None, dict(scenes.anomaly().detail))
    strange = Strange(last.frame.t, (300, 180, 310, 190), 1.0, 0.5, (0.0, 0.1), np.zeros((2, 2), np.float32))
    told = [*told, replace(last, events=ends, anomalies=(begins,), strange={"strange": strange})]
    messages = [message for scene in told for topic in topics for message in topic.scene(scene)]
    messages += topics[0].received(Received("lookout/pi/command/snapshot", json.dumps({"camera": "yard"}).encode()))
    for message in messages:
        if isinstance(message, Live) and message.content_type == "image/jpeg":
            yield message.topic, decoded(message.payload)
    yield "page", pictures.shown(last)
    yield "crop", pictures.cut(last, (0.0, 0.0, *map(float, SIZE)))
