"""The agent with faults built in: python -m tests.faults.hooked run agent.toml, with HOOKS naming a folder.

HOOKS/camera is for a camera of kind "faulty". HOOKS/model: "hang", no inference returns; "slow", each takes 0.4 s more;
"constant", all say what the first said. HOOKS/callback: "raise", what MQTT brings ends in an exception.
agent.__main__ comes before numpy here, as in `python -m agent`: it settles the heap.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from agent.__main__ import main  # isort: split

import numpy as np

import agent.capture.cameras
from agent import plugins
from agent.data import Array
from agent.detect.backends import tflite
from agent.publish import session

names = plugins.names
plugins.names = lambda folder: names(folder) + ["faulty"] * (folder == "capture/cameras")
agent.capture.cameras.__path__.append(str(Path(__file__).parent / "cameras"))

from agent.capture.cameras.faulty import word  # type: ignore[import-not-found]  # noqa: E402  found from here on

run = tflite.Backend.run
SLOW_S = 0.4
held: list[Array] = []


def harmed(self: tflite.Backend) -> list[Array]:
    while word("model") == "hang":
        time.sleep(0.05)
    if word("model") == "slow":
        time.sleep(SLOW_S)
    outputs = run(self)
    if word("model") != "constant":
        held.clear()
    elif not held:
        held.extend(np.array(output) for output in outputs)
    return held or outputs


def raising(self: session.Session, *arguments: Any) -> None:
    if word("callback") == "raise":
        raise RuntimeError("a callback's own trouble")
    on_message(self, *arguments)


tflite.Backend.run = harmed  # type: ignore[method-assign]
on_message = session.Session._on_message
session.Session._on_message = raising  # type: ignore[method-assign]
if __name__ == "__main__":
    sys.exit(main())
