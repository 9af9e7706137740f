"""What the agent keeps, kept: python -m tests.faults.keeping FOLDER. Each promise goes to FOLDER/promised once made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agent import config
from agent.device.updates import Store
from agent.publish.clock import Clock
from agent.publish.outbox import Outbox
from agent.publish.switches import Switches, Wanted

ROUNDS = 8


def model(n: int) -> bytes:
    """As much of a .tflite as is looked at."""
    return b"\0\0\0\0TFL3" + bytes([n]) * 5000


def main(folder: Path) -> None:
    promised = os.open(folder / "promised", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    outbox = Outbox(config.Outbox(), folder / "outbox.db", Clock())
    outbox.open()
    switches, store = Switches(["yard"], folder), Store(folder / "models")
    for n in range(1, ROUNDS + 1):
        for _ in range(3):
            seq = outbox.append("events", lambda seq: b"event %d" % seq)
        outbox.commit()
        os.write(promised, b"event %d\n" % seq)
        switches.put("yard", Wanted(fps=float(n)))
        os.write(promised, b"fps %d\n" % n)
        if n % 3 == 0:
            (folder.parent / "new.tflite").write_bytes(model(n))
            store.install(folder.parent / "new.tflite", test=lambda _: 0.0)
            os.write(promised, b"model %d\n" % n)
    outbox.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
