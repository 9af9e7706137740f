"""One connection to the broker: one paho client, used once, driven from one thread by mqtt.py."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent import config
from agent.publish import Received, credentials, troubles
from agent.publish.commands import MAX_BYTES

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
CONNACK_S = 10.0  # a broker that accepted the socket but does not answer is frozen
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only, and only until the next packet goes out
_CORK: int | None = getattr(socket, "TCP_CORK", None)  # Linux only
_WINDOW = 1024  # paho's own window is never the limit; the owner's is


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to send; QoS 1 with a token comes back in Acked or Refused."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    token: object = None
    content_type: str | None = None
    expiry_s: int | None = None  # how long the broker may keep it for others
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Online:
    """Connected and subscribed; nothing sent before counts any more."""

    generation: int  # number of this connection
    max_packet: int  # bytes the broker takes
    window: int  # QoS 1 messages it takes at a time


@dataclass(frozen=True, slots=True)
class Offline:
    """The connection ended or could not be made."""

    state: str  # a word of troubles.py: "unreachable", "password", ...
    reason: str


@dataclass(frozen=True, slots=True)
class Acked:
    """The broker has these."""

    tokens: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker does not want it (MQTT 5 only; older brokers acknowledge and throw away)."""

    token: object
    reason: str


@dataclass(frozen=True, slots=True)
class Unheard:
    """The broker will not pass on what comes on this topic. Some say nothing, and pass nothing on all the same."""

    topic: str
    reason: str


Note = Online | Offline | Acked | Refused | Received | Unheard


def _no_delay(_client: Client, _userdata: object, sock: Any) -> None:
    """Send what there is: the last small packet of a batch would otherwise wait 40 ms for the first one's answer."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Packed(Properties):
    """Properties that are turned into bytes once, not for each message."""

    def __init__(self, content_type: str | None, expiry_s: int | None, correlation: bytes | None) -> None:
        super().__init__(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if content_type:
            self.ContentType = content_type
        if expiry_s:
            self.MessageExpiryInterval = expiry_s
        if correlation is not None:
            self.CorrelationData = correlation
        object.__setattr__(self, "packed", super().pack())  # type: ignore[no-untyped-call]

    def pack(self) -> bytes:
        """As they stand on the wire."""
        packed: bytes = self.__dict__["packed"]
        return packed


class _Client(Client):
    """paho's, but for PUBACKs without properties: new objects for each of them are a fifth of all its work."""

    def _handle_pubackcomp(self, cmd: str) -> MQTTErrorCode:
        packet = bytes(self._in_packet["packet"])  # two bytes packet id; one reason, if it is not 0; properties
        if cmd != "PUBACK" or len(packet) not in (2, 3):
            return super()._handle_pubackcomp(cmd)  # type: ignore[arg-type]
        with self._out_message_mutex:
            if (mid := int.from_bytes(packet[:2], "big")) in self._out_messages:
                return self._do_on_publish(mid, _reason(packet[2:] or b"\0"), _NO_PROPERTIES)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


@lru_cache(maxsize=16)
def _reason(code: bytes) -> ReasonCode:
    """Raises KeyError for one that a PUBACK cannot have; the connection ends, as after any nonsense."""
    reason = ReasonCode(PacketTypes.PUBACK)
    reason.unpack(code)
    return reason


UNANSWERED = 2  # times keepalive: as soon as a line is noticed that is dead
_NONSENSE = (LookupError, ValueError, struct.error)  # what paho and `_reason` make of bytes that are no MQTT
_NO_PROPERTIES = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]
_properties = lru_cache(maxsize=64)(_Packed)


class Session:
    """One paho client, used for one connection, driven from one thread."""

    def __init__(
        self, options: config.Mqtt, client_id: str, will: Outgoing, version: MQTTProtocolVersion, generation: int
    ) -> None:
        self.generation = generation
        self.online = self._cut = False
        self.ending = ("lost", "connection lost")
        self.unwritten = 0  # QoS 0 messages that are not in the socket yet
        self._options, self._deadline = options, time.monotonic() + CONNACK_S
        self._tokens: dict[int, object] = {}  # packet id -> token
        self._heard = 0.0  # s: the last acknowledgement, or since when one is waited for
        self._asked: dict[int | None, str] = {}  # packet id -> topic of a subscription
        self._acked: list[object] = []  # not noted yet
        self._v5 = version == V5
        client = _Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=version, reconnect_on_failure=False,
            clean_session=None if self._v5 else True,
        )  # fmt: skip
        client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.max_inflight_messages_set(_WINDOW)
        credentials.apply(client, options)
        client.on_socket_open = _no_delay
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message
        client.on_subscribe = self._on_subscribe
        self._client = client

    def begin(self, subscriptions: Sequence[str], note: Callable[[Note], None]) -> None:
        """Open the socket and ask; raises OSError."""
        self._subscriptions, self._note = subscriptions, note
        self._client.connect(self._options.host, self._options.port, self._options.keepalive)

    def socket(self) -> socket.socket | None:
        """The open socket; None once the connection has ended."""
        sock: socket.socket | None = None if self._cut else self._client.socket()  # type: ignore[assignment]
        return sock

    def wants_write(self) -> bool:
        """Whether bytes wait for the socket."""
        return self._client.want_write()

    def patience(self) -> float:
        """How long select may sleep, s."""
        pending = getattr(self._client.socket(), "pending", None)  # TLS: bytes that select cannot see
        return 0.0 if pending and pending() else 1.0

    def work(self, read: bool, write: bool) -> None:
        """Take and give what is there.

        Raises TimeoutError for a broker that never answers CONNECT, or acknowledges nothing any more; OSError for one
        that answers in no MQTT.
        """
        if read or self.patience() == 0:
            try:
                self._client.loop_read()
            except _NONSENSE as error:
                raise ConnectionAbortedError(f"the broker answers in no MQTT ({type(error).__name__})") from error
        if write:
            self._client.loop_write()
        self._client.loop_misc()
        self._acknowledge()
        if self._acked:
            self._heard = time.monotonic()
            self._note(Acked(tuple(self._acked)))
            self._acked.clear()
        if not self.online and self.socket() and time.monotonic() > self._deadline:
            raise TimeoutError(f"no answer to CONNECT within {CONNACK_S:.0f} s")
        if self._tokens and time.monotonic() - self._heard > UNANSWERED * self._options.keepalive:
            raise TimeoutError  # it answers pings, but the acknowledgements for a whole window are lost

    def _acknowledge(self) -> None:
        """Tell the kernel to answer at once: a broker that gathers its small PUBACKs would wait 40 ms for that."""
        sock = self.socket()
        if sock is not None and _QUICKACK is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def gather(self, on: bool) -> None:
        """While on, the kernel makes few large packets of many small messages; off, it sends what there is."""
        sock = self.socket()
        if sock is not None and _CORK is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, _CORK, on)

    def publish(self, message: Outgoing) -> None:
        """Into the socket, or behind what waits for it."""
        properties = _properties(message.content_type, message.expiry_s, message.correlation) if self._v5 else None
        if message.qos == 0:
            self.unwritten += 1
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        if message.qos and info.rc in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            self._heard = self._heard if self._tokens else time.monotonic()
            self._tokens[info.mid] = message.token

    def end(self, clean: bool) -> None:
        """`clean`: DISCONNECT, the broker forgets the will; else the line is cut and it speaks."""
        if clean:
            self._client.disconnect()
        elif sock := self._client.socket():
            sock.close()
            self._cut = True

    def _on_connect(
        self, client: Client, _userdata: object, _flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self.ending = troubles.of_connack(code)
            return
        self.online = True
        for topic in self._subscriptions:
            how: dict[str, Any] = {"options": SubscribeOptions(qos=1, noLocal=True)} if self._v5 else {"qos": 1}
            self._asked[client.subscribe(topic, **how)[1]] = topic
        window = getattr(properties, "ReceiveMaximum", 0) or 65_535
        max_packet = getattr(properties, "MaximumPacketSize", 0) or 268_435_455  # MQTT's own limit
        self._note(Online(self.generation, max_packet, window))

    def _on_disconnect(
        self, _client: Client, _userdata: object, flags: DisconnectFlags, code: ReasonCode, _properties: object
    ) -> None:
        if flags.is_disconnect_packet_from_server or self.ending[0] == "lost":
            self.ending = troubles.of_disconnect(code, self.online)

    def _on_publish(self, _client: Client, _userdata: object, mid: int, code: ReasonCode, _properties: object) -> None:
        if mid not in self._tokens:
            self.unwritten -= 1
        elif code.is_failure:
            self._note(Refused(self._tokens.pop(mid), str(code)))
        else:
            self._acked.append(self._tokens.pop(mid))

    def _on_subscribe(
        self, _client: Client, _userdata: object, mid: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        topic = self._asked.pop(mid, "?")
        if codes[0].is_failure:
            self._note(Unheard(topic, str(codes[0])))

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        properties = message.properties
        self._note(
            Received(
                message.topic,
                bytes(message.payload[: MAX_BYTES + 1]),  # enough to see that it is too large
                message.retain,
                getattr(properties, "ResponseTopic", None),
                getattr(properties, "CorrelationData", None),
            )
        )
