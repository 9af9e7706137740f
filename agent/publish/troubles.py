"""Why a connection failed, as a word for machines and a few for people; each cause has a word of its own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

from paho.mqtt.reasoncodes import ReasonCode

from agent.data import LookoutError

PROTOCOL = "protocol"
TAKEN_OVER = "taken_over"
LOST = "lost"
_CONNACK = {  # MQTT 5 codes; paho maps those of 3.1.1 to them
    "Unsupported protocol version": (PROTOCOL, "the broker does not speak this version of MQTT"),
    "Client identifier not valid": ("refused", "the broker does not accept the client id"),
    "Bad user name or password": ("password", "user name or password not accepted"),
    "Not authorized": ("not_authorized", "this user or client is not allowed in"),
    "Banned": ("not_authorized", "this client is banned"),
    "Server unavailable": ("refused", "the broker says it is not available"),
    "Server busy": ("refused", "the broker says it is busy"),
}
_DISCONNECT = {
    "Session taken over": (
        TAKEN_OVER,
        "another client took over its id; give each agent a `device` of its own",
    ),
    "Keep alive timeout": ("timeout", "the broker stopped answering"),
    "Packet too large": ("refused", "the broker found a message too large"),
    "Server shutting down": (LOST, "the broker shut down"),
}

_ERRORS: tuple[tuple[type[Exception], str, Callable[[Any], str]], ...] = (  # the special before the general
    (ssl.SSLCertVerificationError, "certificate", lambda e: f"the broker's certificate is refused: {e.verify_message}"),
    (ssl.SSLError, "tls", lambda e: f"TLS: {(e.reason or str(e)).replace('_', ' ').lower()}"),
    (socket.gaierror, "unknown_host", lambda _: "no such host name"),
    (ConnectionRefusedError, "unreachable", lambda _: "connection refused"),
    (TimeoutError, "timeout", lambda e: str(e) if "CONNECT" in str(e) else "no answer"),
    (OSError, "unreachable", lambda e: (e.strerror or str(e)).lower()),
    (LookoutError, "credentials", str),
)


def of_connack(code: ReasonCode) -> tuple[str, str]:
    """A refused CONNECT: (state, words)."""
    return _CONNACK.get(str(code), ("refused", f"the broker refused: {str(code).lower()}"))


def of_disconnect(code: ReasonCode, was_online: bool) -> tuple[str, str]:
    """The end of a connection: (state, words). Before CONNACK a broker that hangs up may not know MQTT 5."""
    if str(code) in _DISCONNECT:
        return _DISCONNECT[str(code)]
    if not was_online:
        return (PROTOCOL, "the broker hung up before it answered")
    return (LOST, "connection lost")


def taken_over(client_id: str) -> tuple[str, str]:
    """What a broker that does not say why it cuts accepted connections most likely means."""
    return (
        TAKEN_OVER,
        f"the broker accepts and soon cuts each connection: another client seems to use the id {client_id!r};"
        " give each agent a `device` of its own",
    )


def explain(error: Exception) -> tuple[str, str] | None:
    """A failed connect: (state, words); None for what is nobody's network but our own fault."""
    for kind, state, words in _ERRORS:
        if isinstance(error, kind):
            return state, words(error)
    return None
