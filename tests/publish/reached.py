"""What publishers are fed in these tests, and what of it arrived."""

from __future__ import annotations

import json
from collections.abc import Callable

from agent.publish.publisher import Publisher
from tests.fakes.mosquitto import Listener
from tests.fakes.scenes import event, scene

Make = Callable[..., Publisher]


def feed(publisher: Publisher, n: int, **detail: object) -> None:
    for k in range(n):
        publisher.on_scene(scene(0, events=(event("zone_enter", n=k, **detail),)))


def arrived(listener: Listener) -> set[int]:
    return {json.loads(payload)["detail"]["n"] for payload in listener.of("lookout/pi/yard/events")}
