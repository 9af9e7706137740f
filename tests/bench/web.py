"""python -m tests.bench.web [--rounds N] [--seconds S] [--source CLIP]: what the live page costs.

The pipeline runs flat out on the same frames in one process, in turns: the page not there (`off`), there and nobody
looks (`closed`), one client that takes pictures and events as the page does (`open`, in a process of its own, on this
same machine). fps are medians over the rounds; ratios are of neighbouring turns, for a shared machine's speed drifts.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import msgspec

from agent import config
from agent.data import Array, Frame, Scene
from agent.pipeline import Pipeline, open_detector
from agent.sim import clip
from agent.web.site import Site

_FRAMES = 120
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
    """A client: reads pictures with their scenes, and events, until it is killed."""

    def read(path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", path)
        answer = connection.getresponse()
        while answer.read1(65536):
            pass

    threading.Thread(target=read, args=("/events",), daemon=True).start()
    read("/stream/cam?scenes=1")


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

    def run(self, seconds: float) -> float:
        """Frames looked at a second."""
        begin, count = time.perf_counter(), 0
        while (passed := time.perf_counter() - begin) < seconds:
            self._pipeline.look("cam", next(self._frames))
            count += 1
        return count / passed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--look", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.look:
        look(args.look)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Turn(args.source or clip.default_clip(), Path(folder)), args.rounds, args.seconds)


def measure(turn: Turn, rounds: int, seconds: float) -> None:
    turn.run(seconds)  # warm
    before = rss_mb()
    site = turn.opened()
    fps: dict[str, list[float]] = {name: [] for name in _TURNS}
    busy = dict.fromkeys(_TURNS, 0.0)  # CPU s of the page's thread
    memory = dict.fromkeys(_TURNS, before)
    port = site.url.rstrip("/").rpartition(":")[2]
    for n in range(rounds):
        for name in _TURNS if n % 2 else reversed(_TURNS):
            turn.site = None if name == "off" else site
            client = None
            if name == "open":
                client = subprocess.Popen([sys.executable, "-m", "tests.bench.web", "--look", port])
                turn.run(3.0)  # it has started and its first pictures are gone
            since = cpu_s("web")
            fps[name].append(turn.run(seconds))
            busy[name] += cpu_s("web") - since
            memory[name] = before if name == "off" else max(memory[name], rss_mb())
            if client:
                client.kill()
                client.wait()
    site.close()
    print(f"{rounds} rounds of {seconds:g} s, 768x576 clip, at most {turn.settings.web.fps:g} pictures a second\n")
    print("page     fps (median)   to off   CPU of its thread   RSS (MB)")
    for name in _TURNS:
        ratio = statistics.median(ours / off for ours, off in zip(fps[name], fps["off"], strict=True))
        share = busy[name] / rounds / seconds
        grown = f"{memory[name] - before:+.1f}"
        print(f"{name:8} {statistics.median(fps[name]):12.2f} {ratio:8.3f} {share:19.1%} {grown:>10}")


if __name__ == "__main__":
    main()
