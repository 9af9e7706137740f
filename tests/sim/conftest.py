"""Real brokers: the embedded one, and mosquitto where Debian has it."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from paho.mqtt.client import Client

from agent.sim.broker import Broker


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until(condition, seconds: float = 10.0) -> bool:
    """Whether `condition()` became true; the time is a limit for what hangs, not a claim about speed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def hang_up(client: Client) -> None:
    client.disconnect()
    client.loop_stop()
    client.disconnect()  # again, for a connection that was made anew in between


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(free_port()) as running:
        yield running


@pytest.fixture
def mosquitto() -> Iterator[int]:
    """The port of a mosquitto on 127.0.0.1."""
    program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if program is None:
        pytest.skip("no mosquitto on this machine; apt-get install mosquitto")
    port = free_port()
    process = subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert wait_until(lambda: answers(port)), "mosquitto does not listen"
    yield port
    process.terminate()
    process.wait(10)
