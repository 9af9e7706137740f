"""Brokers, listeners on them, publishers that are closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.publish.publisher import Publisher
from tests.fakes import tcp
from tests.fakes.mosquitto import Broker, Listener
from tests.fakes.scenes import Model, settings
from tests.publish.reached import Make


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


@pytest.fixture
def publish() -> Iterator[Make]:
    """Publishers that are closed at the end."""
    made: list[Publisher] = []

    def publish(port: int, **options: object) -> Publisher:
        made.append(Publisher(settings(port, **options), Model()))
        made[-1].start()
        return made[-1]

    yield publish
    for publisher in made:
        publisher.close(1.0)


@pytest.fixture
def special(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Brokers with lines of their own in the config."""
    made: list[Broker] = []

    def special(extra: str) -> Broker:
        made.append(Broker(tmp_path, extra).start())
        return made[-1]

    yield special
    for broker in made:
        broker.kill()


@pytest.fixture
def serve() -> Iterator[Callable[..., tcp.Server]]:
    made: list[tcp.Server] = []

    def serve(how: Callable[..., None]) -> tcp.Server:
        made.append(tcp.Server(how))
        return made[-1]

    yield serve
    for server in made:
        server.close()
