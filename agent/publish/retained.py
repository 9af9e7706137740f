"""Retained topics: the latest of each, which of them the broker must still be told, and which are on their way."""

from __future__ import annotations

from collections.abc import Callable

from agent.publish import State


class Retained:
    """A topic has at most one message in flight: what changes meanwhile is told when that one is answered."""

    def __init__(self) -> None:
        self._latest: dict[str, State] = {}
        self._untold: dict[str, None] = {}  # a set that keeps its order
        self._flying: set[str] = set()

    def __getitem__(self, topic: str) -> State:
        """What was last put."""
        return self._latest[topic]

    def put(self, state: State) -> None:
        """This is what holds now."""
        self._latest[state.topic] = state
        self._untold[state.topic] = None

    def remove(self, gone: Callable[[str], bool]) -> None:
        """Topics that are to disappear from the broker."""
        for topic in [topic for topic in self._latest if gone(topic)]:
            self.put(State(topic, b""))

    def take(self, limit: int) -> list[State]:
        """What may be sent now, at most `limit`, in the order it was put; each counts as in flight from here."""
        topics = [topic for topic in self._untold if topic not in self._flying][:limit]
        for topic in topics:
            del self._untold[topic]
            self._flying.add(topic)
        return [self._latest[topic] for topic in topics]

    def answered(self, topic: str) -> None:
        """The broker has it, or does not want it. A state that was a removal is forgotten."""
        self._flying.discard(topic)
        if topic not in self._untold and not self._latest[topic].payload:
            del self._latest[topic]

    def forget_connection(self) -> None:
        """A new broker, or one that lost its memory: everything is untold again."""
        self._flying.clear()
        self._untold = dict.fromkeys(self._latest)

    @property
    def is_settled(self) -> bool:
        """Nothing is untold or in flight."""
        return not (self._untold or self._flying)
