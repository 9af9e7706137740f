"""The agent with faults built in: python -m tests.faults.hooked run agent.toml, with HOOKS naming a folder.

HOOKS/camera is for a camera of kind "faulty"; while HOOKS/model holds "hang", no inference returns.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import agent.capture.cameras
from agent import plugins
from agent.__main__ import main
from agent.data import Array
from agent.detect.backends import tflite

names = plugins.names
plugins.names = lambda folder: names(folder) + ["faulty"] * (folder == "capture/cameras")
agent.capture.cameras.__path__.append(str(Path(__file__).parent / "cameras"))

from agent.capture.cameras.faulty import word  # type: ignore[import-not-found]  # noqa: E402  found from here on

run = tflite.Backend.run


def harmed(self: tflite.Backend) -> list[Array]:
    while word("model") == "hang":
        time.sleep(0.05)
    return run(self)


tflite.Backend.run = harmed  # type: ignore[method-assign]
if __name__ == "__main__":
    sys.exit(main())
