"""The two edges of an episode: it begins when something has been beyond its limit for a while, once, and is over when
it has not been so for another while.

    beyond its limit   ░░░█░░░░█████░█████████░░░░██░░░░░░░░░░
    held               ┄┄┄▁┄┄┄┄▂▃▄▅▆▅▆▇█                          seconds beyond less seconds not: flicker never begins
    begins, at hold_s                  ▲
    over, at clear_s                                      ▲       a shorter gap is none
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.anomalies import Place
from agent.data import Event, Scene

MOST = 256  # episodes of one anomaly at a time; further ones are not told
_EPSILON_S = 1e-6  # five frames of 0.1 s are 0.5 s


def score(value: float, limit: float) -> float:
    """How near a value is to its limit: 0 for nothing, 0.5 at the limit, towards 1 far beyond. Both >= 0."""
    if value <= 0:
        return 0.0
    return 1.0 if limit <= 0 or value == float("inf") else value / (value + limit)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something beyond its limit at one frame."""

    reason: str  # in words, with the numbers and their units
    value: float
    limit: float
    baseline: tuple[float, float] | None = None  # what is usual here, from and to; None: nothing was learned
    severity: float | None = None  # 0 just at the limit .. 1 beyond doubt; None: from value and limit
    track_id: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)  # what else there is to tell: label, zone, xyxy (px), ...

    @property
    def strength(self) -> float:
        """Its severity, 0..1."""
        chosen = 2 * score(self.value, self.limit) - 1 if self.severity is None else self.severity
        return min(1.0, max(0.0, chosen))


@dataclass(slots=True)
class _Episode:
    since: float  # s: beyond its limit for the first time,
    last: float  # s: and for the last
    looked: float  # s: at the last frame,
    held: float  # s: and until then so much longer beyond it than not
    worst: Finding
    number: int = 0  # 0: not told yet


class Episodes:
    """What of one anomaly is going on, by a key of its own choice: a track, a zone, a fault."""

    def __init__(self, place: Place, *, clear_s: float, hold_s: float = 0.0) -> None:
        self._place, self._hold_s, self._clear_s = place, hold_s, clear_s
        self._open: dict[Hashable, _Episode] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: Hashable) -> bool:
        """Whether this was told and is not over."""
        return key in self._open and self._open[key].number > 0

    def keys(self) -> list[Hashable]:
        """What was told and is not over."""
        return [key for key in self._open if key in self]

    def update(self, scene: Scene, now: Mapping[Any, Finding], gone: Iterable[Hashable] = ()) -> list[Event]:
        """What is beyond its limit at this frame, and what cannot be any more -> what began and what is over."""
        if not self._open and not now:
            return []
        t, events = scene.frame.t, []
        for key, finding in now.items():
            episode = self._open.get(key)
            if episode is None:
                if len(self._open) >= MOST:
                    continue
                episode = self._open[key] = _Episode(t, t, t, 0.0, finding)
            if episode.last == episode.looked:
                episode.held += t - episode.last
            episode.last = episode.looked = t
            if finding.strength >= episode.worst.strength:
                episode.worst = finding
            if not episode.number and episode.held >= self._hold_s - _EPSILON_S:
                self._number += 1
                episode.number = self._number
                events.append(self._begun(scene, episode, finding))
        over = [key for key in gone if key in self._open]
        over += [key for key, one in self._open.items() if key not in now and key not in over and self._is_over(one, t)]
        return events + [event for key in over for event in self._ended(scene, self._open.pop(key))]

    def _is_over(self, episode: _Episode, t: float) -> bool:
        """At a frame where it is not beyond its limit. What was not told is forgotten when nothing is held any more."""
        if episode.last < episode.looked:  # nor was it at the frame before: the time between counts for neither, else
            episode.held -= t - episode.looked
        episode.looked = t
        if t < episode.last or (not episode.number and episode.held < 0):
            return True
        return t - episode.last >= self._clear_s - _EPSILON_S

    def _begun(self, scene: Scene, episode: _Episode, finding: Finding) -> Event:
        return self._event(scene, "anomaly_start", episode, finding, {"reason": finding.reason})

    def _ended(self, scene: Scene, episode: _Episode) -> list[Event]:
        """The last word, with the worst there was; nothing of what was never told."""
        if not episode.number:
            return []
        lasted = max(0.0, episode.last - episode.since)
        more = {"reason": f"over after {told_s(lasted)}: {episode.worst.reason}", "lasted_s": lasted}
        return [self._event(scene, "anomaly_end", episode, episode.worst, more)]

    def _event(self, scene: Scene, kind: str, episode: _Episode, finding: Finding, more: Mapping[str, Any]) -> Event:
        detail = {
            "kind": self._place.kind,
            "episode": episode.number,
            "reason": "",
            "value": finding.value,
            "limit": finding.limit,
            "baseline": finding.baseline,
            "severity": finding.strength,
            **finding.about,
            **more,
        }
        return Event(kind, scene.frame.t, scene.frame.seq, self._place.name, finding.track_id, detail)


def told_s(seconds: float) -> str:
    """A duration in words: "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
