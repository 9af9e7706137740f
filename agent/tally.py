"""What the loop did, and the frames it had no time for."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping

from agent.data import Scene

log = logging.getLogger(__name__)
_TOLD_S = 10.0  # drops are told at most so often


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


class Drops:
    """Tells once a period how many frames were dropped, and which stage is too slow."""

    def __init__(self, dropped: Mapping[str, int]) -> None:
        """`dropped`: camera -> frames so far, counted elsewhere."""
        self._dropped, self._told, self._since = dropped, dict(dropped), time.monotonic()

    def tell(self, now: float, tally: Tally) -> None:
        """Called once a round."""
        if now - self._since < _TOLD_S:
            return
        for camera, count in self._dropped.items():
            if count > self._told.get(camera, 0):
                stages = tally.mean_ms()
                slowest = max(stages, key=stages.__getitem__, default="start")
                log.info(
                    *(
                        "camera %s: dropped %d frames in %.0f s: %s takes %.0f ms",
                        camera,
                        count - self._told.get(camera, 0),
                    ),
                    *(now - self._since, slowest, stages.get(slowest, 0.0)),
                )
        self._told, self._since = dict(self._dropped), now
