"""A broker and listeners on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.mosquitto import Broker, Listener


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path).start()
    yield broker
    broker.kill()


@pytest.fixture
def listen(broker: Broker) -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def listen(*topics: str) -> Listener:
        listeners.append(Listener(broker.port, *topics or ("#",)))
        return listeners[-1]

    yield listen
    for listener in listeners:
        listener.close()
