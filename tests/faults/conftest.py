"""Faults against real processes; LOOKOUT_FAULTS=full runs them at full size (minutes), else a taste (seconds)."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.fakes.mosquitto import RUNNING

ROOT = Path(__file__).parent.parent.parent
FULL = os.environ.get("LOOKOUT_FAULTS") == "full"


def load_consumer() -> ModuleType:
    """The reference consumer of the documentation."""
    spec = importlib.util.spec_from_file_location("consumer", ROOT / "docs" / "mqtt" / "consumer.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Process:
    """A Python program of ours, from the source tree, that can be killed and started again."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log, self._arguments = log, arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, *self._arguments], cwd=ROOT, stdout=log, stderr=log)
        RUNNING.add(self)
        return self

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None
        RUNNING.discard(self)

    def signal(self, number: int) -> None:
        """It lives on."""
        assert self._process
        self._process.send_signal(number)

    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def consumer() -> object:
    return load_consumer().Consumer()
