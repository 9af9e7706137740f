"""The routes. Whoever looks takes the newest when ready for more: a slow client gets fewer, none is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from agent import __version__
from agent.data import LookoutError, redacted
from agent.web import drawing, metrics
from agent.web.now import Now

_TICK_S = 0.02  # how often the next picture is looked for, once it is due
_NEWS_S = 0.1  # how often what happened is looked for: each look takes Python's lock from the pipeline for a moment
_PING_S = 10.0  # silence after which a proxy would take an event stream for dead
_MAX_BODY = 256 * 1024  # bytes of a drawing
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_BOUNDARY = b"--lookout\r\n"
_json = msgspec.json.encode


def routes(now: Now, path: Path, reload: Callable[[], str]) -> Starlette:
    """Every route there is; agent.web.guard stands before all of them."""
    page = Page(now, path, reload)
    return Starlette(
        routes=[
            *(Route(url, still(body, kind)) for url, (body, kind) in static().items()),
            Route("/stream/{camera}", page.stream),
            Route("/events", page.events),
            Route("/picture/{number:int}", page.picture),
            Route("/snapshot/{id:uuid}", page.snapshot),
            Route("/crop/{camera}/{track:int}", page.crop),
            Route("/given/{camera}/{track:int}", page.given),
            Route("/api/state", page.state),
            Route("/api/model", page.model),
            Route("/api/config", page.config),
            Route("/api/drawing/check", page.check, methods=["POST"]),
            Route("/api/drawing/save", page.save, methods=["POST"]),
            Route("/metrics", page.metrics),
            Route("/healthz", page.healthz),
        ]
    )


def static() -> dict[str, tuple[bytes, str]]:
    """URL -> body and media type of each file of the page, read once: no path of a client's is ever opened."""
    found = {}
    for file in (files("agent.web") / "static").iterdir():
        kind = _TYPES.get(Path(file.name).suffix)
        if kind:
            found["/" if file.name == "index.html" else f"/{file.name}"] = file.read_bytes(), kind
    return found


def still(body: bytes, kind: str) -> Callable[[Request], Any]:
    """An endpoint that answers the same every time."""

    async def answer(_: Request) -> Response:
        return Response(body, media_type=kind)

    return answer


class Page:
    """The endpoints."""

    def __init__(self, now: Now, path: Path, reload: Callable[[], str]) -> None:
        self._now, self._path, self._reload = now, path, reload
        self._saving, self._streams = asyncio.Lock(), 0

    async def stream(self, request: Request) -> Response:
        """MJPEG of a camera; ?boxes=1 draws what was found, ?scenes=1 tells it in each part's X-Scene header."""
        camera = request.path_params["camera"]
        if camera not in self._now.running.settings.cameras:
            return _text("no such camera", 404)
        boxes, scenes = (request.query_params.get(name) == "1" for name in ("boxes", "scenes"))
        pictures = self._pictures(camera, boxes, scenes)
        return StreamingResponse(pictures, media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY[2:-2].decode()}")

    async def events(self, request: Request) -> Response:
        """Server-sent events: scene (of ?camera=), happened, health, cameras."""
        camera = request.query_params.get("camera", "")
        last = request.headers.get("last-event-id", "")
        return StreamingResponse(
            self._messages(camera, int(last) if last.isdecimal() else 0), media_type="text/event-stream"
        )

    async def picture(self, request: Request) -> Response:
        """What was seen when it happened."""
        return _jpeg(self._now.picture(request.path_params["number"]))

    async def snapshot(self, request: Request) -> Response:
        """The same, larger and out of the album: of earlier runs too."""
        return _jpeg(await asyncio.to_thread(self._now.snapshot, str(request.path_params["id"])))

    async def crop(self, request: Request) -> Response:
        """An object that is followed now."""
        return _jpeg(self._now.crop(request.path_params["camera"], request.path_params["track"]))

    async def given(self, request: Request) -> Response:
        """What the model was given as it looked for it."""
        picture = self._now.given(request.path_params["camera"], request.path_params["track"])
        return Response(status_code=204) if picture == b"" else _jpeg(picture)

    async def state(self, _: Request) -> Response:
        """Cameras and what is drawn on them; what the agent is."""
        running = self._now.running
        cameras = {
            name: {"kind": one.kind, "zones": one.zones, "lines": one.lines,
                   "motion_masks": one.motion_masks, "privacy_masks": one.privacy_masks,
                   "anomalies": {n: a.kind for n, a in one.anomalies.items()}, "online": self._online(name)}
            for name, one in running.settings.cameras.items()
        }  # fmt: skip
        told = {"device": running.settings.device, "version": __version__, "labels": running.card.labels}
        limits = {"low": running.settings.tracker.low, "high": running.settings.tracker.high}
        limits["high"] = limits["high"] or running.settings.model.confidence or running.card.confidence
        return _answer({**told, "limits": limits, "cameras": cameras})

    async def model(self, _: Request) -> Response:
        """The model's card and its accuracy report."""
        running = self._now.running
        card = msgspec.to_builtins(running.card)
        card["decode"] = {key: value for key, value in card["decode"].items() if isinstance(value, int | float | str)}
        return _answer({"name": running.model.name, "card": card, "report": running.report})

    async def config(self, _: Request) -> Response:
        """The text of agent.toml, without credentials, and its version."""
        try:
            text = drawing.read(self._path)
        except LookoutError as error:
            return _answer({"reason": str(error)}, 422)
        told = {"path": str(self._path), "writable": drawing.is_writable(self._path)}
        return _answer({**told, "text": redacted(text), "version": drawing.version(text)})

    async def check(self, request: Request) -> Response:
        """What a drawing would change, or what is wrong with it."""
        return await self._edit(request, keep=False)

    async def save(self, request: Request) -> Response:
        """The same, written and taken over."""
        async with self._saving:
            return await self._edit(request, keep=True)

    async def metrics(self, _: Request) -> Response:
        """For Prometheus."""
        return Response(metrics.text(self._now), headers={"content-type": metrics.TYPE})

    async def healthz(self, _: Request) -> Response:
        """200 while at least one camera is there."""
        cameras = {name: self._online(name) for name in self._now.running.settings.cameras}
        return _answer({"cameras": cameras}, 200 if any(cameras.values()) else 503)

    async def _edit(self, request: Request, *, keep: bool) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _MAX_BODY:
                return _answer({"reason": f"larger than {_MAX_BODY} bytes"}, 413)
        try:
            drawn = drawing.decode(bytes(body))
        except LookoutError as error:
            return _answer({"reason": str(error)}, 422)
        try:
            before = drawing.read(self._path)
            after = drawing.edited(before, drawn, self._path)
            if keep and after != before:
                await asyncio.to_thread(drawing.save, self._path, before, after, self._reload)
        except LookoutError as error:  # the answer to what was asked, no failure
            return _answer({"reason": str(error)})
        told = after if keep else before
        changed = {"diff": drawing.diff(before, after), "toml": drawing.excerpt(after, drawn.camera)}
        return _answer({"reason": "", **changed, "version": drawing.version(told)})

    def _online(self, camera: str) -> bool | None:
        state = self._now.cameras.get(camera)
        return None if state is None else state.online

    async def _pictures(self, camera: str, boxes: bool, scenes: bool) -> AsyncIterator[bytes]:
        """Parts of a multipart answer; the boundary comes at the end of each, for then a browser shows it at once."""
        sent, due = None, 0.0
        self._streams += 1
        try:
            yield _BOUNDARY
            while True:
                scene, options = self._now.scenes.get(camera), self._now.running.settings.web
                if scene is None or scene is sent or time.monotonic() < due:
                    await asyncio.sleep(max(_TICK_S, due - time.monotonic()))
                    continue
                sent, due = scene, max(due + 0.95 / options.fps, time.monotonic())
                picture = self._now.jpeg(scene, boxes=boxes, options=options)
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n".encode()
                told = self._now.detections(scene) if scenes else None
                if told:
                    head += b"".join((b"X-Scene: ", _json(told), b"\r\n"))
                yield b"".join((head, b"\r\n", picture, b"\r\n", _BOUNDARY))
        finally:
            self._streams -= 1
            if not self._streams:
                self._now.forget_pictures()

    async def _messages(self, camera: str, number: int) -> AsyncIterator[bytes]:
        now, scene, health, cameras = self._now, None, None, None
        due = spoke = 0.0
        yield b"retry: 2000\n\n"
        while True:
            out: list[bytes] = []
            newest, t = now.scenes.get(camera), time.monotonic()
            if newest is not None and newest is not scene and t >= due:
                scene, due = newest, max(due + 0.95 / now.running.settings.web.fps, t)
                out.append(_event("scene", now.detections(scene)))
            for one in now.since(number):
                number = one.number
                out.append(_event("happened", now.said(one), number))
            if now.health is not health:
                health = now.health
                out.append(_event("health", {"board": health, "mqtt": now.stats}))
            if cameras != now.cameras:
                cameras = dict(now.cameras)
                out.append(_event("cameras", cameras))
            if out or t - spoke > _PING_S:
                spoke = t
                yield b"".join(out) or b": still here\n\n"
            await asyncio.sleep(_NEWS_S)


def _event(kind: str, payload: Any, number: int | None = None) -> bytes:
    head = f"id: {number}\nevent: {kind}\n" if number else f"event: {kind}\n"
    return b"".join((head.encode(), b"data: ", _json(payload), b"\n\n"))


def _answer(payload: Any, status: int = 200) -> Response:
    return Response(_json(payload), status, media_type="application/json")


def _jpeg(picture: bytes | None) -> Response:
    return _text("not kept", 404) if picture is None else Response(picture, media_type="image/jpeg")


def _text(told: str, status: int) -> Response:
    return Response(told + "\n", status, media_type="text/plain")
