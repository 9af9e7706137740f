"""A changed agent.toml or a new model, taken over between two frames, or not at all.

    SIGHUP, command ──▶ thread: read, check, build ──▶ loop: swap ──▶ thread: a new publisher follows the old
                                 ╰── not good: config_rejected; what runs stays

What a change leaves alone goes on: a camera keeps its thread, tracks and counts, a model stays open, and the broker's
connection is only made anew where what is said on it changes. Events wait in the outbox meanwhile.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from msgspec.structs import replace

from agent import config, heap, modelfile
from agent.data import LookoutError
from agent.detect.model import Model
from agent.detect.watch import Watch
from agent.device.duty import Duty
from agent.device.health import Health
from agent.device.manifest import Manifest
from agent.device.offers import Offers
from agent.device.thermal import Thermal
from agent.device.trial import Trial, Verdict, watched
from agent.device.updates import Store, UpdateError
from agent.device.watchdog import Watchdog
from agent.pipeline import Pipeline, Sink, open_detector
from agent.publish import Order
from agent.publish.commands import UpdateModel
from agent.publish.publisher import Publisher, gone
from agent.track.counters import Counters
from agent.web import site

log = logging.getLogger(__name__)
OBEYS = ("set", "reload", "update_model")
_Tell = Callable[[str], None]  # who asked for a reload, other than by MQTT, hears "" or why not
_OPENED = ("file", "backend", "threads", "labels_file")  # keys of [model] that need the model to be opened anew


@dataclass(frozen=True, slots=True)
class _Built:
    """What takes the place of what runs."""

    settings: config.Config
    detector: Watch
    publisher: Publisher


class Live:
    """The running agent. Called as the loop's `beat`; a `with` starts and ends what surrounds the loop."""

    def __init__(self, path: Path, settings: config.Config, store: Store, counters: Counters) -> None:
        """Opens the model, no camera and no broker. Raises LookoutError: a config that cannot be."""
        self._path, self._store, self._counters = path, store, counters
        self._asked: queue.SimpleQueue[Order | _Tell | Verdict | None] = queue.SimpleQueue()
        self._offers = Offers(settings.updates, store, self._offered)
        detector = open_detector(settings, path)
        self._runs = _Built(settings, detector, self._publisher(settings, detector))
        self._next: _Built | None = None
        self._swapped, self._waits = threading.Event(), False  # a reload that nobody wants to hear of
        self._changing = threading.Lock()  # held while one publisher follows the other
        self._leaving: Publisher | None = None  # it has not said goodbye yet
        self._watchdog, self._trial = Watchdog(settings.cameras), self._begun_trial()
        self.page = site.opened(settings, detector.model, path, self.reload)
        publisher = self._runs.publisher
        self.pipeline = Pipeline(
            *(settings, detector, self._sinks(self._runs), counters), state=settings.state_dir, wanted=publisher.wanted
        )
        self._duty = self._made_duty()

    def __enter__(self) -> Self:
        self._runs.publisher.start()
        if self.page:
            self.page.start()
        threading.Thread(target=self._work, name="reload", daemon=True).start()
        self._offers.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._watchdog.stopping()
            self._store.ended_well()
        if self.page:
            self.page.close()
        with self._changing:
            for publisher in (self._leaving, self._runs.publisher):
                if publisher:
                    publisher.close()
            self._leaving = None

    def __call__(self) -> None:
        """One round of the loop is over."""
        self._duty()
        if built := self._next:
            self._next = None
            is_other = built.settings.thermal != self._runs.settings.thermal
            if self.page:
                self.page.take_over(built.settings, built.detector.model)
            self.pipeline.take_over(built.settings, built.detector, self._sinks(built), built.publisher.wanted)
            if built.publisher is not self._runs.publisher:
                self._leaving = self._runs.publisher
            self._runs = built
            self._duty = self._made_duty() if is_other else self._duty
            self._swapped.set()

    def reload(self, tell: _Tell | None = None) -> None:
        """Read the config again; returns at once, and may be called by a signal's handler.

        `tell` hears in another thread "" once it is taken over, or why not. Without it, many while one waits are one.
        """
        if tell or not self._waits:
            self._waits = self._waits or tell is None
            self._asked.put(tell)

    def _work(self) -> None:
        while True:
            asked = self._asked.get()
            self._waits = self._waits and asked is not None
            if isinstance(asked, Verdict):
                self._judge(asked)
                continue
            order = asked if isinstance(asked, Order) else None
            try:
                self._carry_out(order)
                refusal = ""
            except LookoutError as error:
                refusal = str(error)
            except Exception as error:  # the agent goes on as it is
                log.exception("reload: unexpected")
                refusal = f"unexpected {type(error).__name__}: {error}"
            publisher = self._runs.publisher
            if refusal:
                log.error("%s; going on as before", refusal)
            if order is None or order.verb == "reload":
                publisher.on_config(refusal)
            if isinstance(asked, Order):
                publisher.answer(asked, refusal)
            elif asked:
                asked(refusal)
            heap.collect()

    def _carry_out(self, order: Order | None) -> None:
        """Raises LookoutError: nothing has changed."""
        if order is None or order.verb == "reload":
            self._change(self._read(self._store.path(self._store.state.chosen)))
            log.info("%s: taken over", self._path)
            return
        self._read(None)  # a config that is not good must not be taken for the model's fault
        self._install(order.arguments)
        try:
            self._change(self._read(self._store.begin()))
        except LookoutError as error:
            self._store.roll_back(str(error))
            raise
        log.info("model %s: taken over, on trial", self._runs.settings.model.file.name)

    def _judge(self, verdict: Verdict) -> None:
        """Keep the model or go back to the one before, which runs at once or, where it cannot, from the next start."""
        try:
            if verdict.model != self._store.state.chosen:
                return  # another was chosen meanwhile
            if verdict.why:
                self._store.roll_back(verdict.why)
            else:
                self._store.keep()
            kind, detail = ("model_rolled_back", {"reason": verdict.why}) if verdict.why else ("model_kept", {})
            self._runs.publisher.on_event(kind, "updates", model=self._runs.settings.model.file.name, **detail)
            if verdict.why:
                self._change(self._read(self._store.path(self._store.state.chosen)))
        except (LookoutError, OSError) as error:
            log.error("%s; the model chosen now runs from the next start on", error)  # noqa: TRY400  one line
        except Exception:
            log.exception("reload: unexpected; the model chosen now runs from the next start on")

    def _offered(self, offer: Manifest) -> None:
        detail = {"version": offer.version, "file": offer.file, "bytes": offer.size}
        self._runs.publisher.on_event("model_offered", "updates", **detail)

    def _read(self, chosen: Path | None) -> config.Config:
        """The config as it stands now; `chosen`: the model that was taken from outside."""
        settings, runs = config.load(self._path), self._runs.settings
        if settings.state_dir != runs.state_dir:
            raise config.complaint(self._path, ("state_dir",), " cannot change while the agent runs; restart it")
        if settings.web != runs.web:
            raise config.complaint(self._path, ("web",), " cannot change while the agent runs; restart it")
        return with_model(settings, chosen)

    def _change(self, settings: config.Config) -> None:
        before, model = self._runs.settings, self._runs.detector.model
        self._swapped.clear()
        self._next = self._built(settings)
        self._swapped.wait()
        self._offers.take_over(settings.updates)
        if self._runs.detector.model is not model:
            self._trial = self._begun_trial(model)
        with self._changing:
            if self._leaving:
                self._leaving.close(forget=gone(before, settings))
                self._leaving = None
                self._runs.publisher.start()

    def _built(self, settings: config.Config) -> _Built:
        """Everything that the config needs, tried out, but nothing begun."""
        runs = self._runs
        is_open = self._is_open(settings)
        if not is_open and "edgetpu" in (settings.model.backend, runs.settings.model.backend):
            raise config.complaint(
                self._path, ("model",), ": an Edge TPU takes another model only when the agent starts"
            )
        fresh = open_detector(settings, self._path, runs.detector.model if is_open else None)
        looks = [(one.detect, one.model.labels) for one in (settings, runs.settings)]
        detector = runs.detector if is_open and looks[0] == looks[1] else fresh
        spoken = [_spoken(one) for one in (settings, runs.settings)]
        same = is_open and spoken[0] == spoken[1]
        return _Built(
            settings, detector, runs.publisher if same else self._publisher(settings, detector, runs.publisher)
        )

    def _is_open(self, settings: config.Config) -> bool:
        """Whether the model that the config names is the one that runs."""
        now, before = settings.model, self._runs.settings.model
        same = all(getattr(now, key) == getattr(before, key) for key in _OPENED)
        return same and modelfile.read(now.file).sha256 == self._runs.detector.model.sha256

    def _install(self, asked: UpdateModel) -> None:
        settings = self._runs.settings
        if settings.model.backend == "edgetpu":
            raise UpdateError(
                "update_model: an Edge TPU takes another model only when the agent starts; `lookout update`"
            )
        if asked.newest:
            with self._offers.fetched() as (file, offer):
                self._store.install(file, offer.sha256, version=offer.version)
            return
        folder: Path | None = settings.mqtt.topics["command"].models_dir
        if folder is None:
            raise UpdateError("update_model: [mqtt.topics.command] names no models_dir; nothing has changed")
        file = folder / asked.file
        if file.resolve().parent != folder.resolve():
            raise UpdateError(f"model {asked.file}: a link that leads out of the folder; nothing has changed")
        self._store.install(file, asked.sha256)

    def _publisher(self, settings: config.Config, detector: Watch, before: Publisher | None = None) -> Publisher:
        return Publisher(
            *(settings, detector.model),
            counters=self._counters,
            obeys=OBEYS,
            order=self._asked.put,
            succeeds=before,
            offers=self._offers.standing if settings.updates.manifest else None,
        )

    def _begun_trial(self, before: Model | None = None) -> Trial:
        state = self._store.state
        on_trial = state.chosen if state.starts is not None else None
        return Trial(on_trial, watched(self._runs.detector.model).record, watched(before).record if before else None)

    def _sinks(self, built: _Built) -> list[Sink]:
        return [built.publisher, self._watchdog, watched(built.detector.model), *([self.page] if self.page else [])]

    def _made_duty(self) -> Duty:
        return Duty(
            *(self.pipeline, self._watchdog, Thermal(self._runs.settings.thermal)),
            runs_on=lambda: self._runs.detector.model.backend.runs_on,
            spare=self._spare,
            tell=(self._told,),
        )

    def _spare(self, fewer_crops: bool, one_thread: bool) -> None:
        self._runs.detector.spare(fewer_crops, one_thread)

    def _told(self, health: Health) -> None:
        self._runs.publisher.on_health(health)
        if self.page:
            self.page.on_health(health, self._runs.publisher.stats())
        if verdict := self._trial.verdict(health):
            self._asked.put(verdict)


def with_model(settings: config.Config, chosen: Path | None) -> config.Config:
    """The config with a model that was taken from outside; None: its own."""
    return replace(settings, model=replace(settings.model, file=chosen)) if chosen else settings


def _spoken(settings: config.Config) -> tuple[object, ...]:
    """What the publisher must be made anew for."""
    cameras = {  # what is hidden, too: of pictures that were taken before, none is left
        name: (tuple(camera.zones), tuple(camera.lines), camera.privacy_masks, camera.blur, camera.blur_part)
        for name, camera in settings.cameras.items()
    }
    is_offered = bool(settings.updates.manifest)
    return settings.device, settings.mqtt, cameras, list(cameras), settings.model.labels, settings.second, is_offered
