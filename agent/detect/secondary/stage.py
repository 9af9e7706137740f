"""All second looks of the agent: a scene goes in, and comes out with what is known of its tracks and its places."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agent import plugins
from agent.data import LookoutError, Reading, Scene
from agent.detect.secondary import Eye, Where
from agent.detect.secondary.aside import Aside
from agent.detect.secondary.section import Section, told
from agent.sections import Second

log = logging.getLogger(__name__)


def opened(name: str, wanted: Second, state: Path) -> Eye:
    """What looks. Raises LookoutError: a file that cannot be used."""
    eye: Eye = plugins.get("detect/secondary/kinds", wanted.kind).create(wanted.options, Where(name, state))
    return eye


def flaws(wanted: Mapping[str, Second], state: Path) -> Iterator[tuple[str, str]]:
    """(name, why) of those that cannot be: each is opened, and closed again."""
    for name, one in wanted.items():
        try:
            opened(name, one, state)
        except LookoutError as error:
            yield name, str(error)


class Stage:
    """Every [second.NAME], for all cameras. One thread calls it, frame by frame."""

    def __init__(
        self, wanted: Mapping[str, Second], state: Path, cameras: Sequence[str], labels: Sequence[str], aside: Aside
    ) -> None:
        """`labels` of the detector by class id. Raises LookoutError: a file that cannot be used."""
        self._labels = labels
        self._sections = [Section(n, one, opened(n, one, state), cameras, aside) for n, one in wanted.items()]
        for section in self._sections:
            log.info("second look %s: on (%s; %s)", section.name, wanted[section.name].about, section.eye.about)

    def add(self, scene: Scene) -> Scene:
        """The scene with what is recognised, and with events where that has changed."""
        if not self._sections:
            return scene
        begin = time.perf_counter()
        recognised: dict[int, dict[str, Reading]] = {}
        readings: dict[str, Reading] = {}
        events = list(scene.events)
        for section in self._sections:
            of_tracks, place, news = section.look(scene, self._labels)
            for track, reading in of_tracks.items():
                recognised.setdefault(track, {})[section.name] = reading
            if place:
                readings[section.name] = place
            updated = {event.track_id for event in events if event.kind == "track_update"}
            events += [event for event in news if event.track_id is None or event.track_id not in updated]
        events.sort(key=lambda event: event.kind == "track_end")  # its last word comes last
        times = {**scene.times, "second": (time.perf_counter() - begin) * 1e3}
        both = told(events, recognised), told(scene.anomalies, recognised)
        return replace(scene, events=both[0], anomalies=both[1], times=times, recognised=recognised, readings=readings)

    def forget(self, camera: str) -> None:
        """Nothing seen at this camera is known any more, and no crop of it is held."""
        for section in self._sections:
            section.forget(camera)
