"""A disk that is full, on a small file system of its own: events go on from memory and return to the disk."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.publish.publisher import Publisher
from agent.publish.store import Store
from tests.fakes.mosquitto import Broker, Listener, until
from tests.fakes.scenes import Model, event, scene, settings
from tests.faults.conftest import FULL, Row

EVENTS = 20_000 if FULL else 1_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "lookout-test", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("may not mount a tmpfs here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def feed(publisher: Publisher, first: int, n: int) -> None:
    for k in range(first, first + n):
        publisher.on_scene(scene(0, events=(event("zone_enter", n=k),)))


def fill(path: Path) -> None:
    """Until nothing more goes in."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))


def test_a_full_disk_costs_no_event_that_the_broker_is_there_for(
    small_disk: Path, tmp_path: Path, row: Callable[..., Row]
) -> None:
    told = row("disk full", "a file system of 1 MB, filled", "events go on from memory; the disk again, by itself")
    broker = Broker(tmp_path).start()
    listener = Listener(broker.port, "lookout/pi/yard/events")
    with Publisher(settings(broker.port, state_dir=small_disk), Model()) as publisher:
        feed(publisher, 0, 10)
        until(lambda: len(listener.messages) == 10, "events while there is room")
        ballast = small_disk / "ballast"
        fill(ballast)
        feed(publisher, 10, EVENTS)
        until(lambda: publisher.stats().outbox_trouble, "the trouble noticed")
        assert "full" in publisher.stats().outbox_trouble
        until(
            lambda: {json.loads(p)["detail"]["n"] for _, p, _ in list(listener.messages)} >= set(range(EVENTS)), "all"
        )
        ballast.unlink()
        with told.recovery():
            until(lambda: not publisher.stats().outbox_trouble, "the disk is used again", 40)
        feed(publisher, 10 + EVENTS, 10)
        until(lambda: publisher.stats().waiting == 0, "the last events")
    listener.close()
    broker.kill()
    seqs = [json.loads(payload)["seq"] for payload in listener.of("lookout/pi/yard/events")]
    assert seqs == list(range(1, EVENTS + 21))
    store = Store(small_disk / "outbox.db")
    assert (store.found, store.totals.last_seq) == ([], EVENTS + 20)
    store.close()
    told.seen = f"{EVENTS} of {EVENTS} events while it was full"


def test_a_full_disk_without_a_broker_keeps_the_newest_in_memory_and_tells_the_rest(
    small_disk: Path, tmp_path: Path
) -> None:
    kept = f"persistence true\npersistence_location {tmp_path}/\nmax_queued_messages 0\nmax_inflight_messages 0"
    broker = Broker(tmp_path, kept).start()
    Listener(broker.port, "lookout/#", client_id="keeper").close()  # from now on the broker keeps what it misses
    broker.stop()
    with Publisher(settings(broker.port, state_dir=small_disk), Model()) as publisher:
        feed(publisher, 0, 6_000)  # 1 MB holds fewer
        until(lambda: publisher.stats().waiting + publisher.stats().given_up == 6_000, "all taken", 60)
        assert "full" in publisher.stats().outbox_trouble
        broker.start()
        until(lambda: publisher.stats().waiting == 0, "the outbox empty", 60)
        given_up = publisher.stats().given_up
    listener = Listener(broker.port, "lookout/#", client_id="keeper")

    def arrived() -> set[int]:
        return {json.loads(payload)["seq"] for payload in listener.of("lookout/pi/yard/events")}

    until(lambda: len(arrived()) == 6_000 - given_up, f"all but {given_up} of 6000, {len(arrived())} are here", 60)
    gaps = [json.loads(payload)["detail"] for payload in listener.of("lookout/pi/events")]
    got = arrived()
    listener.close()
    broker.kill()
    missing = set(range(1, 6_001)) - got
    assert sum(gap["count"] for gap in gaps) == len(missing) == given_up
    assert missing
