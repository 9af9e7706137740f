"""A broker that is stopped in the middle of everything (SIGSTOP): the pipeline does not notice."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.publish.publisher import Publisher
from tests.fakes.mosquitto import Broker, Listener, until
from tests.fakes.scenes import STATES, Model, event, scene, settings
from tests.faults.conftest import FULL, Row

FROZEN_S = 60.0 if FULL else 3.0
FPS = 60.0


def timed(act: Callable[[], object]) -> float:
    """ms."""
    begin = time.perf_counter()
    act()
    return (time.perf_counter() - begin) * 1e3


def waking_an_idle_thread() -> Callable[[], object]:
    """The least that handing something over can cost: what a busy machine adds to it, it adds to publishing too."""
    box: queue.SimpleQueue[object] = queue.SimpleQueue()
    threading.Thread(target=lambda: all(box.get() for _ in iter(int, 1)), daemon=True).start()
    return lambda: box.put(True)


def test_publishing_does_not_wait_for_a_frozen_broker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Callable[..., Row]
) -> None:
    told = row("broker black hole", f"SIGSTOP of it for {FROZEN_S:g} s", "noticed; the pipeline never waits; none lost")
    broker = Broker(tmp_path).start()
    listener = Listener(broker.port, "lookout/pi/yard/events")
    least = waking_an_idle_thread()
    took, control = [], []
    with Publisher(settings(broker.port, state_dir=tmp_path), Model()) as publisher:
        until(lambda: publisher.stats().acked == STATES, "connection")
        broker.freeze()
        begin, n = time.monotonic(), 0
        while (t := time.monotonic()) < begin + FROZEN_S:
            one = scene(20, t=t, seq=n, events=(event("zone_enter", t=t, n=n),))
            took.append(timed(lambda one=one: publisher.on_scene(one)))
            n += 1
            time.sleep(max(0.0, begin + (n - 0.5) / FPS - time.monotonic()))
            control.append(timed(least))
            time.sleep(max(0.0, begin + n / FPS - time.monotonic()))
        waiting, backlog = publisher.stats().waiting, publisher._connection.backlog
        broker.thaw()
        with told.recovery():
            until(
                lambda: len({json.loads(p)["detail"]["n"] for _, p, _ in list(listener.messages)}) == n,
                "all events",
                60,
            )
    p50, p99, worst = np.percentile(took, [50, 99, 100])
    with capsys.disabled():
        print(f"\n{FROZEN_S:.0f} s frozen, {n} scenes: on_scene p50 {p50:.3f} p99 {p99:.3f} max {worst:.1f} ms,")
        print(f"waking an idle thread p99 {np.percentile(control, 99):.3f} max {max(control):.1f} ms;", end=" ")
        print(f"{waiting} events waited, {backlog} messages for the socket")
    listener.close()
    told.seen = f"handing over took p99 {p99:.2f} ms; {waiting} of {n} events waited, all came"
    assert backlog <= 32 + 64
    if FULL:  # a claim of the documentation; a machine too busy to wake a thread in time cannot hold it
        assert p99 < max(1.0, 2 * np.percentile(control, 99))
