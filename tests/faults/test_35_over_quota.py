"""Days without a broker, in small: the oldest of the least worth go, and a gap event says which."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fakes.agent import YARD, Running
from tests.fakes.mosquitto import Broker, Listener, free_port, until
from tests.faults.conftest import Row, full

ROWS = 100
SEES = """[mqtt.outbox]
max_rows = 100
[mqtt.topics.events]
update_s = 0.0
[model]
confidence = 0.1
[tracker]
low = 0.02
high = 0.1
confirm = 0.05
tentative_s = 1.0
"""  # textured blocks are people then, and every frame is an event


def waiting(port: int) -> int:
    """Events in the outbox, as the live page's figures say: there is no broker to ask."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found = re.search(rb"^lookout_outbox_waiting (\d+)", answer.read(), re.M)
    return int(found[1]) if found else 0


@full
def test_what_is_missing_is_what_was_told(
    tmp_path: Path, start: Callable[..., Running], consumer: Any, row: Callable[..., Row]
) -> None:
    told = row("outbox over its quota", f"max_rows = {ROWS}, no broker", "oldest of low priority go; `gap` tells them")
    web = free_port()
    agent = start(YARD + SEES + f"[web]\nenabled = true\nport = {web}\n", broker=Broker(tmp_path, durable=True))
    keeper = Listener(agent.broker.port, "lookout/pi/events", "lookout/pi/+/events", client_id="keeper")
    agent.wait(lambda: agent.of("yard/events"), "an event")
    agent.broker.stop()
    until(lambda: waiting(web) >= ROWS, "the quota reached", 60)
    time.sleep(2.0)  # and more comes
    assert waiting(web) <= ROWS
    with told.recovery():
        agent.broker.start()
        agent.wait(lambda: any(b'"gap"' in payload for _, payload, _ in keeper.messages), "the gap told")
        agent.wait(lambda: agent.health()["events_waiting"] == 0, "nothing waits")
    taken = [consumer.take(payload) for _, payload, _ in keeper.messages]
    keeper.close()
    missing = sum(count for _, count in taken)
    gaps = [event["detail"] for event, _ in taken if event and event["kind"] == "gap"]
    assert {gap["reason"] for gap in gaps} == {"full"}
    assert missing == sum(gap["count"] for gap in gaps) == json.loads(agent.of("health")[-1])["events_given_up"]
    told.seen = f"{missing} given up, {missing} told, none else missing"
