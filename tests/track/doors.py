"""A door where people are counted."""

from __future__ import annotations

from pathlib import Path

from agent.track.counters import Counters

STREET_DOOR = ("street", "door")


def door(folder: Path | None = None) -> Counters:
    counters = Counters(folder)
    counters.declare("street", "door")
    return counters
