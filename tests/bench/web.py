"""python -m tests.bench.web [--seconds S] [--lap FRAMES] [--source CLIP]: what the live page costs.

The pipeline runs flat out in one process, lap after lap over the same frames, in turns: the page not there (`off`),
there and nobody looks (`closed`), one client that takes pictures and events as the page does (`open`, in a process of
its own, on this same machine). A shared machine's speed drifts by more than what is looked for: each lap is compared
with its neighbour in the same round only, what is told is the median of these ratios, and how far it may be off by
chance (95 % of 10000 medians of as many ratios, drawn with replacement).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import msgspec
import numpy as np

from agent import config
from agent.data import Array, Frame, Scene
from agent.pipeline import Pipeline, open_detector
from agent.sim import clip
from agent.web.site import Site

_FRAMES = 24  # in the loop
_SETTLE = 6  # frames after a client came or went
_TURNS = ("off", "closed", "open")


def rss_mb() -> float:
    """Resident memory of this process, MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(thread: str) -> float:
    """CPU seconds that a thread of ours has had so far, to 10 ms (/proc/self/task/TID/stat, proc(5))."""
    number = next(one.native_id for one in threading.enumerate() if one.name == thread)
    ticks = Path(f"/proc/self/task/{number}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def look(port: int) -> None:
    """A client: begins to read pictures with their scenes, and events, at "open", and leaves at "close"."""
    clients: list[socket.socket] = []

    def read(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while client.recv(65536):
                pass

    for line in sys.stdin:
        if line == "open\n":
            for path in ("/stream/cam?scenes=1", "/events"):
                clients.append(socket.create_connection(("127.0.0.1", port)))
                clients[-1].sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                threading.Thread(target=read, args=(clients[-1],), daemon=True).start()
        else:
            while clients:
                clients.pop().shutdown(socket.SHUT_RDWR)
        print("done", flush=True)


def pictures(source: Path) -> list[Array]:
    """The clip's first frames, (H, W, 3) uint8 RGB."""
    reader = cv2.VideoCapture(str(source))
    return [cv2.cvtColor(reader.read()[1], cv2.COLOR_BGR2RGB) for _ in range(_FRAMES)]


class Turn:
    """One pipeline with a sink that can be taken away."""

    def __init__(self, source: Path, folder: Path) -> None:
        path = folder / "agent.toml"
        path.write_text('[cameras.cam]\nkind = "synthetic"\n[web]\nenabled = true\nport = 0\n')
        self.settings = msgspec.structs.replace(config.load(path), state_dir=folder)
        self._detector = open_detector(self.settings, path)
        self._pipeline = Pipeline(self.settings, self._detector, [self])
        images = pictures(source)
        self._frames = (Frame(images[n % len(images)], n, n * 0.1) for n in itertools.count())
        self.site: Site | None = None
        self._path = path

    def on_scene(self, scene: Scene) -> None:
        if self.site:
            self.site.on_scene(scene)

    def on_camera(self, _: object) -> None: ...

    def opened(self) -> Site:
        site = Site(self.settings, self._detector.model, self._path, lambda tell: tell(""))
        site.start()
        return site

    def lap(self, frames: int) -> tuple[float, float]:
        """Frames looked at a second, and a second of this thread's own CPU time: what others take is not in that."""
        begin, worked = time.perf_counter(), time.thread_time()
        for frame in itertools.islice(self._frames, frames):
            self._pipeline.look("cam", frame)
        return frames / (time.perf_counter() - begin), frames / (time.thread_time() - worked)


class Client:
    """The process that looks."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "tests.bench.web", "--look", url.rstrip("/").rpartition(":")[2]]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, what: str) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        self._process.stdout.readline()

    def end(self) -> None:
        self._process.communicate()


@dataclass
class Told:
    """What was measured, by turn."""

    fps: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _TURNS})
    own: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _TURNS})  # fps, of CPU time
    busy: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_TURNS, 0.0))  # CPU s of the page's thread
    took: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_TURNS, 0.0))  # s
    rss: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_TURNS, 0.0))  # MiB, the most there was


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Median of neighbours' ratios, and the 95 % interval of it (percentile bootstrap: Efron, 1979)."""
    ratios = np.array(ours) / np.array(theirs)
    drawn = np.random.default_rng(0).choice(ratios, (10_000, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return float(np.median(ratios)), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=240.0, help="as many rounds as begin within them")
    parser.add_argument("--lap", type=int, default=_FRAMES, help="frames of each turn")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--look", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.look:
        look(args.look)
        return
    with tempfile.TemporaryDirectory() as folder:
        turn = Turn(args.source or clip.default_clip(), Path(folder))
        tell(measure(turn, args.seconds, args.lap), args.lap)


def measure(turn: Turn, seconds: float, lap: int) -> Told:
    told = Told()
    for _ in range(4):
        turn.lap(lap)  # warm
    told.rss["off"] = rss_mb()
    site = turn.opened()
    client = Client(site.url)
    end = time.monotonic() + seconds
    for n in itertools.takewhile(lambda _: time.monotonic() < end, itertools.count()):
        for name in _TURNS if n % 2 else reversed(_TURNS):
            turn.site = None if name == "off" else site
            client.do("open" if name == "open" else "close")
            turn.lap(_SETTLE)
            since, begin = cpu_s("web"), time.perf_counter()
            fps, own = turn.lap(lap)
            told.fps[name].append(fps)
            told.own[name].append(own)
            told.busy[name] += cpu_s("web") - since
            told.took[name] += time.perf_counter() - begin
            if name != "off":
                told.rss[name] = max(told.rss[name], rss_mb())
    client.end()
    site.close()
    return told


def tell(told: Told, lap: int) -> None:
    print(
        f"{len(told.fps['off'])} rounds of {lap} frames each, flat out; one client takes 10 pictures a second at most\n"
    )
    print("page     fps (median)   to the line above, 95 %   the same by CPU time   CPU of its thread   RSS (MB)")
    above = dict(zip(_TURNS, (None, *_TURNS), strict=False))
    for name in _TURNS:
        other = above[name]
        compared, alone = (
            "{:.3f} ({:.3f} to {:.3f})".format(*ratio(of[name], of[other])) if other else ""
            for of in (told.fps, told.own)
        )
        share = told.busy[name] / told.took[name]
        grown = f"{told.rss[name] - told.rss['off']:+.1f}"
        print(
            f"{name:8} {statistics.median(told.fps[name]):12.2f} {compared:>25} {alone:>23} {share:19.1%} {grown:>10}"
        )


if __name__ == "__main__":
    main()
