"""How many events a second go through the outbox to a local mosquitto, beside plain paho; and what reaches the disk.

    python -m tests.bench.outbox [--events 20000] [--frozen 10] [--json]

And what on_scene takes of the pipeline's time while the broker is stopped (SIGSTOP).

Three ways, in turn, several rounds each, medians: the outbox on disk, the outbox in memory, paho alone (QoS 1, 20 and
100 in flight). Bytes are what the kernel sent to the disk for this process (/proc/self/io: write_bytes), all of it:
inserts, deletes and checkpoints. The broker runs beside it on the same machine, so the figures are of the pair.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paho.mqtt.client as paho

from agent.publish.publisher import Publisher
from tests.fakes.mosquitto import Broker, until
from tests.fakes.scenes import STATES, Model, event, scene, settings


def through_outbox(port: int, events: int, folder: Path | None) -> dict[str, float]:
    """From the first on_scene to the last acknowledgement."""
    with Publisher(settings(port, state_dir=folder), Model()) as publisher:
        until(lambda: publisher.stats().acked == STATES, "connection")
        burst = tuple(event("zone_enter", n=n) for n in range(10))
        written, cpu, begin = disk_bytes(), time.process_time(), time.perf_counter()
        for _ in range(events // 10):
            while publisher.stats().waiting > 5_000:
                time.sleep(0.001)
            publisher.on_scene(scene(0, events=burst))
        until(lambda: publisher.stats().acked >= events + STATES, "all acknowledged", 300)
        took = time.perf_counter() - begin
        cpu = time.process_time() - cpu
        assert publisher.stats().given_up == 0
    return {
        "events_per_s": events / took,
        "cpu_us_per_event": cpu / events * 1e6,
        "disk_bytes_per_event": (disk_bytes() - written) / events,
    }


def after_outage(broker: Broker, events: int, folder: Path) -> dict[str, float]:
    """Everything waits on the disk; from the broker's return to the last acknowledgement."""
    broker.kill()
    with Publisher(settings(broker.port, state_dir=folder, retry_s=(0.01, 0.01)), Model()) as publisher:
        burst = tuple(event("zone_enter", n=n) for n in range(10))
        for n in range(events // 10):
            publisher.on_scene(scene(0, events=burst))
            until(lambda n=n: publisher.stats().waiting > 10 * n - 1_000, "room")
        until(lambda: publisher.stats().waiting == events, "all on the disk")
        broker.start()
        until(lambda: publisher.stats().acked > STATES, "the first")
        cpu, begin, first = time.process_time(), time.perf_counter(), publisher.stats().waiting
        until(lambda: publisher.stats().waiting == 0, "all acknowledged", 300)
        return {
            "events_per_s": first / (time.perf_counter() - begin),
            "cpu_us_per_event": (time.process_time() - cpu) / first * 1e6,
        }


def one_a_second(port: int, events: int, folder: Path) -> dict[str, float]:
    """Events that come alone: each is a commit of its own (here 20 a second, so that acknowledgements come between)."""
    with Publisher(settings(port, state_dir=folder), Model()) as publisher:
        until(lambda: publisher.stats().acked == STATES, "connection")
        written = disk_bytes()
        for _ in range(events):
            publisher.on_scene(scene(0, events=(event("zone_enter"),)))
            time.sleep(0.05)
        until(lambda: publisher.stats().acked >= events + STATES, "all acknowledged")
    return {"disk_bytes_per_event": (disk_bytes() - written) / events}


def plain_paho(port: int, events: int, in_flight: int) -> dict[str, float]:
    """The same payload size, nothing stored."""
    done = threading.Event()
    left = [events]

    def on_publish(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            done.set()

    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(in_flight)
    client.connect("127.0.0.1", port)
    client.loop_start()
    until(client.is_connected, "connection")
    client.on_publish = on_publish
    cpu, begin = time.process_time(), time.perf_counter()
    for _ in range(events):
        client.publish("lookout/pi/yard/events", b"x" * 300, qos=1)
    assert done.wait(300)
    took = time.perf_counter() - begin
    cpu = time.process_time() - cpu
    client.disconnect()
    client.loop_stop()
    return {"events_per_s": events / took, "cpu_us_per_event": cpu / events * 1e6}


def frozen(broker: Broker, seconds: float, folder: Path) -> dict[str, float]:
    """What on_scene takes of the pipeline's time, ms, 60 scenes with an event a second, while the broker is stopped."""
    took: list[float] = []
    with Publisher(settings(broker.port, state_dir=folder), Model()) as publisher:
        until(lambda: publisher.stats().acked == STATES, "connection")
        broker.freeze()
        begin = time.monotonic()
        for n in range(int(seconds * 60)):
            one = scene(20, t=time.monotonic(), seq=n, events=(event("zone_enter", n=n),))
            time.sleep(max(0.0, begin + n / 60 - time.monotonic()))
            called = time.perf_counter()
            publisher.on_scene(one)
            took.append((time.perf_counter() - called) * 1e3)
        broker.thaw()
        until(lambda: publisher.stats().waiting == 0, "all acknowledged", 60)
    p50, p99, worst = np.percentile(took, [50, 99, 100]).tolist()
    return {"p50_ms": p50, "p99_ms": p99, "max_ms": worst}


def disk_bytes() -> int:
    """What this process has caused to be written; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(one[key] for one in rounds), 3) for key in rounds[0]}


def against_paho(found: dict[str, list[dict[str, float]]]) -> float:
    """Events a second through the outbox on disk, as a share of paho alone: the median of the rounds' ratios."""
    pairs = zip(found["outbox, disk"], found["paho alone, 20 in flight"], strict=True)
    return round(statistics.median(ours["events_per_s"] / bare["events_per_s"] for ours, bare in pairs), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frozen", type=float, default=10.0, metavar="S", help="how long the broker stands still")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:  # /tmp is often not a disk
        folder = Path(name)
        broker = Broker(folder).start()
        n, port = arguments.events, broker.port
        ways: dict[str, Callable[[], dict[str, float]]] = {
            "outbox, disk": lambda: through_outbox(port, n, folder),
            "outbox, disk, after an outage": lambda: after_outage(broker, n, folder),
            "outbox, memory": lambda: through_outbox(port, n, None),
            "paho alone, 20 in flight": lambda: plain_paho(port, n, 20),
            "paho alone, 100 in flight": lambda: plain_paho(port, n, 100),
            "outbox, disk, one at a time": lambda: one_a_second(port, 40, folder),
            "on_scene, broker frozen": lambda: frozen(broker, arguments.frozen, folder),
        }
        found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for _ in range(arguments.rounds):
            for way, run in ways.items():
                found[way].append(run())
        broker.kill()
    result = {way: medians(rounds) for way, rounds in found.items()}
    if arguments.json:
        machine = platform.processor() or platform.machine()
        whole = {"machine": machine, "events": n, "share_of_paho": against_paho(found), **result}
        json.dump(whole, sys.stdout, indent=1)
        return
    for way, figures in result.items():
        print(f"{way:30}", "  ".join(f"{key} {value:,.{0 if value > 10 else 3}f}" for key, value in figures.items()))
    print(f"{'share of paho alone':30} {against_paho(found)}")


if __name__ == "__main__":
    main()
