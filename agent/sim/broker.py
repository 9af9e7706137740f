"""The simulation's MQTT broker: on this machine only, in a process of its own, gone when its parent is gone.

rumqttd, from the `iotcore` wheel, which speaks MQTT 3.1.1. A client that tries MQTT 5 is hung up on, and may fall back.
"""

from __future__ import annotations

import importlib.util
import logging
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.data import LookoutError

_log = logging.getLogger(__name__)
_SERVE = Path(__file__).with_name("serve.py")
_ATTEMPTS = 5  # each on a new port; more than one is needed only where two programs start in the same instant
_GOODBYE = 3.0  # s for the process to end by itself


class BrokerError(LookoutError):
    """The embedded broker did not start, and what to do instead."""


class Broker:
    """An MQTT broker that lives as long as a `with` block, open to this machine alone and to anybody on it.

    `port` is the one asked for unless it is taken; which one it is, is logged at info.
    Raises BrokerError on entry: no iotcore here, or it cannot start.
    """

    host = "127.0.0.1"

    def __init__(self, port: int = 1883) -> None:
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if importlib.util.find_spec("iotcore") is None:
            raise BrokerError(
                "embedded broker: iotcore is not installed; run `pip install 'lookout-agent[sim]'`"
                " or name a broker of your own with --broker HOST:PORT"
            )
        wanted, reason = self.port, ""
        for _ in range(_ATTEMPTS):
            self.port = _free_port(wanted)
            reason = self._start()
            if reason == "ready":
                self._tell(wanted)
                return self
        raise BrokerError(f"embedded broker: {reason}; name a broker of your own with --broker HOST:PORT")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None

    @property
    def pid(self) -> int | None:
        """The broker's process; None before it is started and after it is stopped."""
        return self._process.pid if self._process else None

    def _start(self) -> str:
        """Start the process; "ready", or why it is not."""
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", str(_SERVE), str(self.port)],
            stdin=subprocess.PIPE,  # closes when we end, however we end; the process ends with it
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the agent, which still has to say goodbye through this broker
        )
        assert process.stdout is not None
        answer = process.stdout.readline().strip()
        if answer == "ready":
            self._process = process
        else:
            _end(process)
        return answer or f"its process ended with code {process.returncode}"

    def _tell(self, wanted: int) -> None:
        taken = "" if self.port == wanted else f"port {wanted} is taken; "
        _log.info("%sMQTT broker on %s:%d", taken, self.host, self.port)


def _free_port(wanted: int) -> int:
    """`wanted` where it can be had, else any."""
    for port in (wanted, 0):
        try:
            with socket.create_server((Broker.host, port)) as probe:
                return int(probe.getsockname()[1])
        except (OSError, OverflowError):
            continue
    raise BrokerError(f"embedded broker: no free port on {Broker.host}; name one with --broker HOST:PORT")


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_GOODBYE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
