"""Who may ask: every request passes here before any route is looked at, and every answer leaves through here.

host       not a name of ours: a page elsewhere that had its own name point to us (DNS rebinding) ── 421
password   where one is set, for everything, the page's own files too                             ── 401
origin     a page of somebody else: its pictures, its scripts, its forms                          ── 403
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import platform
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from agent.web.password import Password

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
_PATIENCE_S = 20.0  # for a client to take what it asked for, piece by piece
_SAFE = ("GET", "HEAD")
_HEADERS = [
    (b"content-security-policy", (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]  # fmt: skip


class Guard:
    """ASGI around the routes."""

    def __init__(self, app: App, password: Password | None, names: Iterable[str]) -> None:
        """`names`: by which a browser may reach us, beside IP addresses, localhost and the machine's own name."""
        own = platform.node().lower()
        self._app, self._password = app, password
        self._names = {"localhost", own, f"{own.split('.')[0]}.local", *(name.lower() for name in names)} - {""}

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """One request."""
        if scope["type"] != "http":
            return

        async def patient(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await asyncio.wait_for(send(message), _PATIENCE_S)

        status, reason = await self._refusal(scope["method"], _headers(scope))
        if not status:
            await self._app(scope, receive, patient)
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        if status == 401:
            headers.append((b"www-authenticate", b'Basic realm="Lookout", charset="UTF-8"'))
        await patient({"type": "http.response.start", "status": status, "headers": headers})
        await patient({"type": "http.response.body", "body": reason.encode() + b"\n"})

    async def _refusal(self, method: str, headers: dict[str, str]) -> tuple[int, str]:
        """Status and reason; 0: it may pass."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, "not a name of this device; web.names lists further ones"
        if self._password and not await self._password.matches(_given(headers.get("authorization", ""))):
            return 401, "password required"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "another page's request"
        if method not in _SAFE and origin is None:
            return 403, "a change needs an Origin header"
        is_visit = method in _SAFE and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not is_visit:
            return 403, "another page's request"
        return 0, ""

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
        except ValueError:
            return not {host.lower(), host.rpartition(":")[0].lower()}.isdisjoint(self._names)
        return True


def _headers(scope: Message) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _given(authorization: str) -> str:
    """The password in a Basic (any user name) or Bearer header; "" where there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
