"""python -m tests.bench.writes CLIP [--seconds 240]: what the running agent writes to its card a day. As root.

Its state lies on an ext4 of its own (a loop device), whose counter of written sectors is read: data, metadata and
journal, all that a card would get. A mosquitto takes the messages; the first half-minute, with its start, is left out.

quiet    a made-up scene in which nothing moves
street   CLIP again and again, with a zone, a line and what comes of them
away     the same while the broker is not there: every event waits on the disk
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho

from tests.conftest import ROOT
from tests.fakes.mosquitto import Broker, free_port

_START_S = 30.0
_DAY_S = 86400.0
_QUIET = 'kind = "synthetic"\nobjects = 0\n'
_STREET = """kind = "file"
path = "{clip}"
loop = true
fps = 5.0
[cameras.front.zones.all]
polygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
[cameras.front.lines.middle]
points = [[0.5, 0.0], [0.5, 1.0]]
"""


@contextlib.contextmanager
def card(folder: Path) -> Iterator[tuple[Path, Path]]:
    """An empty ext4 of 256 MB: where it is mounted, and the kernel's counters of its device."""
    image, mounted = folder / "card.ext4", folder / "card"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
    found = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True)
    device = Path(found.stdout.strip())
    subprocess.run(["mount", device, mounted], check=True)
    try:
        yield mounted, Path("/sys/block") / device.name / "stat"
    finally:
        subprocess.run(["umount", mounted], check=True)
        subprocess.run(["losetup", "-d", device], check=True)


def written(mounted: Path, counters: Path) -> int:
    """Bytes since the device was made, with what waits in memory."""
    fd = os.open(mounted, os.O_RDONLY)
    os.sync()
    os.close(fd)
    return int(counters.read_text().split()[6]) * 512  # Documentation/block/stat.rst: sectors of 512 bytes


def measure(camera: str, seconds: float, is_there: bool) -> dict[str, float]:
    """Bytes and events a day with one camera."""
    events = [0]
    with tempfile.TemporaryDirectory() as scratch, card(Path(scratch)) as (mounted, counters):
        folder = Path(scratch)
        broker = Broker(folder).start() if is_there else None
        config = folder / "agent.toml"
        config.write_text(
            f'device = "bench"\nstate_dir = "{mounted}/lookout"\n[cameras.front]\n{camera}'
            f"[mqtt]\nport = {broker.port if broker else free_port()}\n"
        )
        (mounted / "lookout").mkdir()
        if broker:
            client = paho.Client(paho.CallbackAPIVersion.VERSION2)
            client.on_message = lambda *_: events.__setitem__(0, events[0] + 1)
            client.connect("127.0.0.1", broker.port)
            client.subscribe("lookout/+/+/events")
            client.loop_start()
        command = [sys.executable, "-m", "agent", "run", str(config)]
        agent = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            time.sleep(_START_S)
            before, begun = written(mounted, counters), events[0]
            time.sleep(seconds)
            grown = written(mounted, counters) - before
        finally:
            agent.terminate()
            agent.wait()
            if broker:
                client.loop_stop()
                broker.stop()
        if agent.returncode:
            sys.exit(f"the agent ended with {agent.returncode}")
    return {"mb_a_day": grown / seconds * _DAY_S / 1e6, "events_a_day": (events[0] - begun) / seconds * _DAY_S}


def main() -> None:
    """A line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=float, default=240.0)
    args = parser.parse_args()
    street = _STREET.format(clip=args.clip.resolve())
    for name, camera, is_there in (("quiet", _QUIET, True), ("street", street, True), ("away", street, False)):
        print(name, json.dumps(measure(camera, args.seconds, is_there)), flush=True)


if __name__ == "__main__":
    main()
