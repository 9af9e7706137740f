"""A publisher in a process of its own, to be killed: python -m tests.faults.feeder PORT FOLDER EVENTS_PER_S.

The ids of events that are safe on the disk go into FOLDER/accepted, written after the commit returned and before
anything else happens; the ids of those that the broker has acknowledged into FOLDER/acked.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from agent import logs
from agent.publish import mqtt
from agent.publish.outbox import Outbox
from agent.publish.publisher import Publisher
from agent.publish.store import Row, Store, Totals
from tests.fakes.scenes import Model, event, scene, settings


def record_accepted(path: Path) -> None:
    """Have every commit write down the ids that it made safe."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    write = Store.write

    def recorded(self: Store, inserted: Iterable[Row], deleted: Iterable[int], totals: Totals | None) -> None:
        rows = list(inserted)
        write(self, rows, deleted, totals)
        ids = [msgspec.json.decode(row.body)["id"] for row in rows]
        os.write(log, "".join(f"{one}\n" for one in ids).encode())

    Store.write = recorded  # type: ignore[method-assign]


def record_acked(path: Path) -> None:
    """Have every acknowledgement write down whose it is."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sent: dict[int, str] = {}
    unsent, acked = Outbox.unsent, Outbox.acked

    def noted(self: Outbox, limit: int) -> list[Row]:
        rows = unsent(self, limit)
        sent.update((row.seq, msgspec.json.decode(row.body)["id"]) for row in rows)
        return rows

    def recorded(self: Outbox, seq: int) -> None:
        os.write(log, f"{sent.pop(seq, '')}\n".encode())
        acked(self, seq)

    Outbox.unsent, Outbox.acked = noted, recorded  # type: ignore[method-assign]


def main(port: int, folder: Path, rate: float) -> None:
    logs.setup()
    mqtt.TAKEN_OVER_S = 0.0  # a broker that is killed again and again looks like another client with our id
    record_accepted(folder / "accepted")
    record_acked(folder / "acked")
    with Publisher(settings(port, state_dir=folder), Model()) as publisher:
        begin = time.monotonic()
        for n in itertools.count():
            t = time.monotonic()
            publisher.on_scene(scene(1, t=t, seq=n, events=(event("zone_enter", t=t, n=n),)))
            time.sleep(max(0.0, begin + (n + 1) / rate - time.monotonic()))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
