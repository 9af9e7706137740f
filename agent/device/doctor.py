"""What is wrong with this machine, and how to mend it: one finding a thing looked at.

Nothing here needs a broker or changes anything. A camera is opened for one frame, in a thread that may hang. The
versions of what is installed are in software.py.
"""

from __future__ import annotations

import os
import platform
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from agent import config, plugins
from agent.data import Frame, LookoutError
from agent.detect.model import Model
from agent.device import video
from agent.device.health import Board

Grade = Literal["good", "poor", "broken"]  # works · works, but not well · does not work
_FRAME_S = 20.0  # for a camera's first frame; a network camera takes its time
_TRIALS = 5  # inferences that are timed, after one that is not
_FREE_MB = 150.0  # memory that the agent and a picture or two need
_DISK_MB = (200.0, 20.0)  # free where state is kept: poor below, broken below


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    about: str
    grade: Grade
    text: str
    cure: str = ""  # what to do; "" where nothing needs doing


def model(open_model: Callable[[], Model]) -> Finding:
    """Its checksum, what it runs on, and how long an inference takes."""
    try:
        opened = open_model()
        backend = opened.backend
        backend.run()
        begin = time.perf_counter()
        for _ in range(_TRIALS):
            backend.run()
        took = (time.perf_counter() - begin) / _TRIALS * 1e3
    except LookoutError as error:
        return Finding("model", "broken", *parted(str(error)))
    text = f"{opened.name}, sha256 {opened.sha256[:12]}.., {took:.1f} ms an inference on {backend.runs_on}"
    if backend.runs_on == "cpu":
        return Finding("model", "poor", text, "XNNPACK stays out where /proc/cpuinfo is hidden (ProcSubset=pid)")
    if "lost" in backend.runs_on:
        return Finding("model", "poor", text, "see that the Coral is plugged in, and that libedgetpu is installed")
    return Finding("model", "good", text)


def camera(name: str, options: config.Camera) -> Finding:
    """One frame of it."""
    about = f"camera {name}"
    if isinstance(answer := _first_frame(options), Frame):
        return Finding(about, "good", f"{options.kind}, {answer.size[0]}x{answer.size[1]}")
    if "busy" in answer or "cannot be opened" in answer:
        device = getattr(options.options, "device", 0)
        node = Path(f"/dev/video{device}" if isinstance(device, int) else device)
        if node.exists() and not os.access(node, os.R_OK | os.W_OK):
            return Finding(about, "broken", answer, "sudo usermod -aG video $USER, and log in again")
        return Finding(about, "broken", answer, "one program at a time: sudo systemctl stop lookout, then again")
    if "no such device" in answer:
        there = sorted(str(path) for path in Path("/dev").glob("v4l/by-id/*")) or sorted(
            map(str, Path("/dev").glob("video*"))
        )
        return Finding(about, "broken", answer, f"there are: {', '.join(there) or 'no cameras; see the cable'}")
    return Finding(about, "broken", *parted(answer))


def connected(kinds: set[str]) -> Iterator[Finding]:
    """Every camera there is, with its modes; `kinds` are those of the config."""
    for node, told in video.v4l2():
        yield Finding(f"found {node}", "good", told)
    if "picamera" in kinds:
        try:
            for number, told in video.picamera():
                yield Finding(f"found camera {number}", "good", told)
        except Exception as error:  # software() and camera() say what is wrong and how to mend it
            yield Finding("found camera", "poor", f"modes cannot be listed: {error}")


def board(machine: Board) -> Iterator[Finding]:
    """Power, heat, memory and clock."""
    health = machine.look()
    name = machine.model() or platform.node()
    if health.throttling is None:
        yield Finding("power", "good", f"{name} does not tell of under-voltage or throttling")
    elif "under-voltage" in health.throttling:
        yield Finding(
            "power", "broken", f"{name}: under-voltage now", "use the board's own supply and a short, thick cable"
        )
    elif health.throttled_before:
        text = f"{name}: since the start there was {', '.join(health.throttled_before)}"
        yield Finding("power", "poor", text, "a stronger supply for under-voltage, a heat sink or fan for the others")
    else:
        yield Finding("power", "good", f"{name}: no under-voltage, no throttling")
    hot = health.soc_c is not None and health.soc_c >= config.Thermal().slow_c
    degrees = "not told" if health.soc_c is None else f"{health.soc_c:.0f} °C"
    yield Finding("heat", "poor" if hot else "good", degrees, "a heat sink or fan" if hot else "")
    free = health.memory_free_mb
    if free is not None:
        short = free < _FREE_MB
        cure = f"the agent needs {_FREE_MB:.0f}; end other programs" if short else ""
        yield Finding("memory", "poor" if short else "good", f"{free:.0f} MB free", cure)
    if health.clock_synchronised:
        yield Finding("clock", "good", "synchronised")
    else:
        cure = "sudo timedatectl set-ntp true; until then events carry a wrong time, marked so"
        yield Finding("clock", "poor", "not synchronised", cure)


def disk(folder: Path, sys_root: Path = Path("/sys")) -> Iterator[Finding]:
    """Room and health of the disk where state is kept."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / 2**20
    grade: Grade = "good" if free >= _DISK_MB[0] else "poor" if free >= _DISK_MB[1] else "broken"
    yield Finding("disk", grade, f"{free:.0f} MB free for {folder}", "" if grade == "good" else "make room there")
    for counter in sorted((sys_root / "fs" / "ext4").glob("*/errors_count")):
        if (text := counter.read_text().strip()) not in ("", "0"):
            found = f"{counter.parent.name} counted {text} file system errors"
            yield Finding("disk", "poor", found, "back up, and replace the card")


def _first_frame(options: config.Camera) -> Frame | str:
    """Its first frame, or what went wrong."""
    answers: queue.SimpleQueue[Frame | str] = queue.SimpleQueue()

    def read() -> None:
        try:
            stream = plugins.get("capture/cameras", options.kind).frames(options.options)
            answers.put(next(stream))
            stream.close()
        except StopIteration:
            answers.put("gave no frame")
        except Exception as error:  # a camera's driver may raise anything
            answers.put(str(error) or type(error).__name__)

    threading.Thread(target=read, daemon=True).start()
    try:
        return answers.get(timeout=_FRAME_S)
    except queue.Empty:
        return f"no frame within {_FRAME_S:g} s"


def parted(line: str) -> tuple[str, str]:
    """An error's line is "what; what to do"."""
    text, _, cure = line.partition("; ")
    return text, cure
