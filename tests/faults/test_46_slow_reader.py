"""Browsers that ask for pictures and read none: frames and memory do not mind."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.fakes.mosquitto import free_port, until
from tests.faults.conftest import Row

CLIENTS = 8


def test_who_reads_nothing_holds_nobody_up(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row(
        "live page's client stalls", f"{CLIENTS} that read nothing", "frames go on; memory bounded; others served"
    )
    port = free_port()
    agent = start(YARD + f"[web]\nenabled = true\nport = {port}\n")
    agent.frames()
    rss = agent.process.rss_mb
    clients = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(CLIENTS)]
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /stream/yard HTTP/1.1\r\nHost: localhost\r\n\r\n")
    agent.frames()
    with told.recovery():
        served(port)
    agent.frames()
    grown = agent.process.rss_mb - rss
    for client in clients:
        client.close()
    assert grown < 40
    told.seen = f"frames go on, {grown:+.0f} MB; the next client has its picture"


def served(port: int) -> None:
    """Another client gets two pictures."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"GET /stream/yard HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = bytearray()
        until(lambda: got.extend(client.recv(65536)) or got.count(b"--lookout") > 2, "pictures")
