"""What was heard -> lines of text, for a terminal of any width, for a log, and for the end. Pure functions."""

from __future__ import annotations

import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.sim.heard import Camera, Happening, Heard, Track

STALE_S = 3.0  # a camera that has objects in sight speaks several times a second
_EVENTS = 4  # rows of the screen
_TOPICS = 12  # rows of the summary
_NAMES = 5  # of a second look, in the summary
_BOLD, _DIM, _GREEN, _RED = "1", "2", "32", "31"
_IRREGULAR = {"knife": "knives", "mouse": "mice", "sheep": "sheep", "skis": "skis", "scissors": "scissors"}


@dataclass(frozen=True, slots=True)
class Counters:
    """The agent's own count of one run, to be shown beside the subscriber's."""

    frames: int
    drops: int  # frames nobody looked at, because a newer one had come
    detections: int
    tracks: int  # each counted once
    times_ms: dict[str, float] = field(default_factory=dict)  # ms per stage of a mean frame


@dataclass(frozen=True, slots=True)
class Moment:
    """When and where something is drawn."""

    now: float  # s, monotonic
    clock: str  # "12:00:03"
    where: str = ""  # "127.0.0.1:1883"
    command: str = ""  # what to type to see the same
    size: tuple[int, int] = (80, 24)  # columns, rows
    color: bool = False
    note: str = ""  # the latest log line


def plural(n: int, word: str) -> str:
    """plural(1, "person") -> "1 person"; plural(2, "bus") -> "2 buses"."""
    if n == 1:
        return f"1 {word}"
    if word in _IRREGULAR:
        return f"{n} {_IRREGULAR[word]}"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{n} {word}es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{n} {word[:-1]}ies"
    return f"{n} {word}s"


def ms(seconds: float) -> str:
    """0.0142 -> "14 ms"; 0.0042 -> "4.2 ms"."""
    value = seconds * 1e3
    return f"{value:.1f} ms" if value < 9.95 else f"{value:.0f} ms"


def columns(text: str) -> int:
    """How many columns a terminal gives to printable `text`: columns("日本 a") -> 6."""
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def fit(text: str, width: int) -> str:
    """`text` cut to `width` columns, with "?" for anything that would steer a terminal."""
    width = max(0, width)
    text = "".join(
        char if char.isprintable() else "?" for char in text[: 4 * width]
    )  # 4: combining marks have no width
    while columns(text) > width:
        text = text[:-1]
    return text


def plain_line(heard: Heard, moment: Moment) -> str:
    """The state in one line: "12:00:03  7 persons · 10.0 fps · 14 ms frame→subscriber · 41 messages"."""
    if not heard.messages:
        return f"{moment.clock}  waiting for the first message"
    parts = [_sight(heard, moment.now), *_pace(heard.cameras.values(), moment.now), plural(heard.messages, "message")]
    if heard.unreadable:
        parts.append(f"{heard.unreadable} unreadable ({heard.trouble})")
    return f"{moment.clock}  {fit(' · '.join(parts), 200)}"


def screen(heard: Heard, moment: Moment) -> list[str]:
    """The live view: it fills size[1] - 1 rows, each of which keeps its place while its contents change.

    Every line fits the width but the last, the command, which may wrap so that it can be copied whole.
    """
    width, height = moment.size
    above = [_title(heard, moment)]
    for name in sorted(heard.cameras):
        above += _camera(name, heard.cameras[name], moment)
    above += ["", _line(moment, (f"In sight: {_sight(heard, moment.now)}", _BOLD))]
    below = ["", _line(moment, ("Last events", _BOLD)), *_events(heard, width), "", _footer(heard, moment)]
    below += [_line(moment, (moment.note, _DIM)), f"Try: {moment.command}"]
    wrapped = (len(below[-1]) - 1) // width
    room = height - 1 - wrapped - len(above) - len(below)
    if room < 0:
        return [*above, *below[:-1], *[""] * height][: height - 1]
    return above + [fit(line, width) for line in _objects(heard, moment.now, room)] + below


def summary(heard: Heard, counters: Counters, seconds: float) -> list[str]:
    """The end: what the agent counted beside what the subscriber got."""
    detections, tracks = plural(counters.detections, "detection"), plural(counters.tracks, "track")
    lines = [
        f"ran         {seconds:.1f} s",
        f"agent       {plural(counters.frames, 'frame')}, {counters.drops} dropped, {detections}, {tracks}",
        f"subscriber  {plural(heard.messages, 'message')}, {heard.frames} on detections"
        f" with {plural(heard.objects, 'object')}, {plural(len(heard.tracks), 'track')}",
    ]
    lines += [f"            {n:6d} on {fit(topic, 60)}" for topic, n in sorted(heard.topics.items())[:_TOPICS]]
    if heard.names:
        told = Counter(heard.names.values()).most_common(_NAMES)
        lines.insert(3, f"second look {fit(', '.join(f'{name} {n}' for name, n in told), 80)} (tracks)")
    if len(heard.topics) > _TOPICS:
        lines.append(f"                   and {plural(len(heard.topics) - _TOPICS, 'more topic')}")
    if heard.retained:
        lines.append(f"            {heard.retained:6d} of them from before, kept by the broker")
    if heard.unreadable:
        lines.append(f"unreadable  {plural(heard.unreadable, 'message')}; the last: {fit(heard.trouble, 120)}")
    if len(heard.latency) > 1:
        cuts = statistics.quantiles(heard.latency, n=20, method="inclusive")
        lines.append(f"latency     frame→subscriber {ms(cuts[9])} median, {ms(cuts[18])} for the slowest 5 %")
    if counters.times_ms:
        stages = ", ".join(f"{stage} {ms(value / 1e3)}" for stage, value in counters.times_ms.items())
        lines.append(f"a frame     {stages}")
    return lines


def _fresh(cameras: Iterable[Camera], now: float) -> list[Camera]:
    return [camera for camera in cameras if now - camera.at <= STALE_S]


def _sight(heard: Heard, now: float) -> str:
    """What is in sight over all cameras, or why that is not known."""
    cameras = heard.cameras.values()
    if heard.online is False:
        return "agent offline"
    if cameras and all(camera.online is False for camera in cameras):
        return f"{', '.join(sorted(heard.cameras))} offline"
    labels = Counter(track.label for camera in _fresh(cameras, now) for track in camera.said.tracks)
    if labels:
        return ", ".join(plural(n, label) for label, n in sorted(labels.items(), key=lambda item: (-item[1], item[0])))
    waiting = [now - camera.at for camera in cameras if camera.said.tracks]  # none of them fresh
    return f"silent for {min(waiting):.0f} s" if waiting else "nothing in sight"


def _pace(cameras: Iterable[Camera], now: float) -> list[str]:
    """["10.0 fps", "14 ms frame→subscriber"], each only where it is known and new."""
    fresh = _fresh(cameras, now)
    fps = [camera.said.fps for camera in fresh if camera.said.fps is not None]
    latency = [value for camera in fresh for value in camera.latency]
    rates = [f"{sum(fps):.1f} fps"] if fps else []
    return rates + ([f"{ms(statistics.median(latency))} frame→subscriber"] if latency else [])


def _title(heard: Heard, moment: Moment) -> str:
    room = moment.size[0] - len(moment.clock)
    left = fit(f"Lookout · {heard.device} · {moment.where}", room - 1)
    return _line(moment, (left + " " * (room - columns(left)) + moment.clock, _BOLD))


def _camera(name: str, camera: Camera, moment: Moment) -> list[str]:
    """Two rows: state and pace, then ms per stage."""
    state, color = {True: ("online", _GREEN), False: ("offline", _RED), None: ("unknown", _DIM)}[camera.online]
    pace = "".join(f" · {part}" for part in _pace([camera], moment.now))
    stages = " · ".join(f"{stage} {ms(value / 1e3)}" for stage, value in camera.said.times_ms.items())
    return [_line(moment, (f"{name}: ", ""), (state, color), (pace, "")), _line(moment, (stages, _DIM))]


def _objects(heard: Heard, now: float, rows: int) -> list[str]:
    """Exactly `rows` rows, by track id, so that an object keeps its row while it is there."""
    several = len(heard.cameras) > 1
    found: list[tuple[str, Track]] = [
        (name, track)
        for name, camera in sorted(heard.cameras.items())
        for track in sorted(camera.said.tracks, key=lambda track: track.id)
        if now - camera.at <= STALE_S
    ]
    shown = found if len(found) <= rows else found[: max(0, rows - 1)]
    lines = [
        f"  {track.id:5d}  {fit(track.label, 16):<16} {track.confidence:4.0%}  {track.age:6.1f} s"
        + (f"  {fit(track.names, 24)}" if track.names else "")
        + (f"  {name}" if several else "")
        for name, track in shown
    ]
    if len(found) > len(shown) and rows:
        lines.append(f"         and {len(found) - len(shown)} more")
    return lines + [""] * (rows - len(lines))


def _events(heard: Heard, width: int) -> list[str]:
    """Exactly _EVENTS rows, the newest first."""
    lines = [fit(f"  {_event(event)}", width) for event in reversed(heard.events)]
    return (lines + [""] * _EVENTS)[:_EVENTS]


def _event(event: Happening) -> str:
    clock = f"{event.time.astimezone():%H:%M:%S}" if event.time else "--:--:--"
    who = "" if event.track is None else f"{event.track:5d}"
    return f"{clock}  {event.kind:<14} {who:>5}  {event.label or ''}  {event.camera}".rstrip()


def _footer(heard: Heard, moment: Moment) -> str:
    trouble = f" · {heard.unreadable} unreadable ({heard.trouble})" if heard.unreadable else ""
    return _line(moment, (plural(heard.messages, "message"), ""), (trouble, _RED))


def _line(moment: Moment, *pieces: tuple[str, str]) -> str:
    """Pieces of (text, colour code or "") beside each other, cut at the terminal's width."""
    room, line = moment.size[0], ""
    for text, code in pieces:
        shown = fit(text, room)
        room -= columns(shown)
        line += f"\x1b[{code}m{shown}\x1b[0m" if moment.color and code and shown else shown
    return line
