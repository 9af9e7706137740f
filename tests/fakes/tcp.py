"""Brokers that misbehave, on the TCP level: one from a script, and a proxy that harms what passes."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable


class Server:
    """Calls `serve(socket)` for each connection, in a thread of its own, until closed."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._open.append(sock)
                threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            self._serve(sock)

    def close(self) -> None:
        self._listener.close()
        for sock in self._open:
            sock.close()


def silent(sock: socket.socket) -> None:
    """Takes everything, answers nothing: a frozen broker whose kernel still accepts."""
    while sock.recv(4096):
        pass


def only_3_1_1(sock: socket.socket) -> None:
    """An old broker: refuses MQTT 5 (CONNACK 1), takes 3.1.1 and acknowledges each PUBLISH of QoS 1."""
    packet = sock.recv(4096)
    level = packet[packet.index(b"MQTT") + 4]
    if level == 5:
        sock.sendall(b"\x20\x02\x00\x01")
        return
    sock.sendall(b"\x20\x02\x00\x00")
    buffer = b""
    while data := sock.recv(4096):
        buffer += data
        while (parsed := _packet(buffer)) is not None:
            kind, content, buffer = parsed
            if kind & 0xF6 == 0x32:
                after_topic = 2 + int.from_bytes(content[:2], "big")
                sock.sendall(b"\x40\x02" + content[after_topic : after_topic + 2])


def forgetful(sock: socket.socket) -> None:
    """A broker that takes 3.1.1 and answers pings, but loses every acknowledgement."""
    sock.recv(4096)
    sock.sendall(b"\x20\x02\x00\x00")
    while data := sock.recv(4096):
        if b"\xc0\x00" in data:
            sock.sendall(b"\xd0\x00")


def babbling(sock: socket.socket) -> None:
    """A broker that takes 3.1.1 and then says what is no MQTT: a SUBACK unasked for, PUBACKs with no reason's code."""
    sock.recv(4096)
    sock.sendall(b"\x20\x02\x00\x00\x90\x03\x7f\x01\x00")
    while sock.recv(4096):
        sock.sendall(b"".join(b"\x40\x03\x00" + bytes([mid, 0x33]) for mid in range(1, 60)))


def _packet(data: bytes) -> tuple[int, bytes, bytes] | None:
    """First byte, content and rest, once a whole packet is there (lengths below 16384)."""
    if len(data) < 2:
        return None
    length, at = data[1] & 0x7F, 2
    if data[1] & 0x80:
        if len(data) < 3:
            return None
        length, at = length | (data[2] << 7), 3
    return (data[0], data[at : at + length], data[at + length :]) if len(data) >= at + length else None


def proxy(
    port: int, harm: Callable[[bytes], bytes], outward: Callable[[bytes], bytes] = bytes
) -> Callable[[socket.socket], None]:
    """Passes on both ways; what the broker says goes through `harm`, what it is told through `outward`."""

    def serve(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as broker:
            back = threading.Thread(target=_pump, args=(broker, client, harm), daemon=True)
            back.start()
            _pump(client, broker, outward)

    return serve


def _pump(source: socket.socket, sink: socket.socket, harm: Callable[[bytes], bytes]) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1024):
            sink.sendall(harm(data))
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def garbling(dice: random.Random, share: float) -> Callable[[bytes], bytes]:
    """Replaces a byte in some of what passes."""

    def harm(data: bytes) -> bytes:
        if dice.random() >= share:
            return data
        at = dice.randrange(len(data))
        return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]

    return harm


def slow(data: bytes) -> bytes:
    """20 ms for each piece."""
    time.sleep(0.02)
    return data
