"""A .tflite's tables as rows of Python, read as if whoever wrote them meant harm.

A flatbuffer is tables that point at each other; runtimes written in C follow those offsets as they stand. `Reader`
follows them first: every table, vector and string that a runtime reads lies whole inside the file, and all of them
together claim no more room than the file has, so that a few kilobytes cannot pose as millions of tensors. What the
numbers mean is not judged here; soundness.py does that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from agent.data import Array
from agent.detect.schema import DEFAULTS, FIELDS, FLOATS, INTS, TEXT, Many, Model, Options

MOST_TABLES = 100_000  # the largest detectors have a few thousand
_WORD, _SIGNED, _HEAD = struct.Struct("<I"), struct.Struct("<i"), struct.Struct("<HH")


class Unsound(ValueError):  # noqa: N818  an adjective says it
    """Bytes that no runtime should be given; reads after "a TFLite file that"."""


class Plan(NamedTuple):
    """How tables of one layout are read."""

    length: int  # bytes
    slots: tuple[int, ...]
    numbers: struct.Struct  # all fields that are there at once, offsets among them
    order: tuple[int, ...]  # which field each of those is
    offsets: tuple[tuple[int, int, Callable[[int], Any]], ...]  # field, where it lies, what reads its target


class Reader:
    """Follows offsets in bytes that nobody vouches for; a ZIP appended to a file does not matter."""

    def __init__(self, data: bytes) -> None:
        self._data, self._size = data, len(data)
        self._room, self._tables = len(data), MOST_TABLES  # what may still be claimed
        self._plans: dict[tuple[type, int], Plan] = {}  # by a vtable's place too; many tables share one

    def model(self) -> Model:
        """The tables of the whole file. Raises Unsound, as everything here does."""
        if self._data[4:8] != b"TFL3":
            raise Unsound("has no TFL3 mark in its first 8 bytes")
        model: Model = self._table(Model, self._number(_WORD, 0))
        return model

    def option(self, options: Options | None, slot: int, otherwise: int = 0) -> int:
        """An int32 among an operator's numbers."""
        at = _slot(options, slot)
        return self._number(_SIGNED, at) if at else otherwise

    def vector(self, options: Options | None, slot: int, width: int) -> int:
        """How many elements a vector among an operator's numbers has."""
        at = _slot(options, slot)
        return self._span(width, at + self._number(_WORD, at)) if at else 0

    def _table(self, kind: type, place: int) -> Any:
        head = place - self._number(_SIGNED, place)
        plan = self._plans.get((kind, head))
        if plan is None:
            plan = self._plans[kind, head] = self._planned(kind, head)
        if place & 3 or place + plan.length > self._size:
            raise self._beyond("a table", place)
        self._claim(plan.length)
        if kind is Options:
            return Options(place, plan.slots)
        row = list(DEFAULTS[kind])
        for n, number in zip(plan.order, plan.numbers.unpack_from(self._data, place), strict=True):
            row[n] = number
        for n, at, follow in plan.offsets:
            row[n] = follow(place + at + row[n])
        return kind(*row)

    def _planned(self, kind: type, head: int) -> Plan:
        """For tables whose vtable is at `head`."""
        if head & 1 or not 0 <= head <= self._size - 4:
            raise self._beyond("a table's head", head)
        length, inline = _HEAD.unpack_from(self._data, head)
        if length < 4 or length & 1 or inline < 4 or head + length > self._size:
            raise self._beyond("a table's head", head)
        slots = struct.unpack_from(f"<{length // 2 - 2}H", self._data, head + 4)
        form, end, order, offsets = "<", 0, [], []
        for at, n in sorted((at, n) for n, at in enumerate(slots[: len(FIELDS[kind])]) if at):
            field = FIELDS[kind][n]
            follow = self._follower(field)
            letter = "I" if follow else field or "I"
            if at < max(end, 4):
                raise self._beyond("a table's field", head)
            form, end = f"{form}{at - end}x{letter}", at + struct.calcsize("<" + letter)
            order.append(n)
            offsets += [(n, at, follow)] if follow else []
        if max(end, *slots, 4) > inline:
            raise self._beyond("a table's field", head)
        return Plan(inline, slots, struct.Struct(form), tuple(order), tuple(offsets))

    def _follower(self, field: Any) -> Callable[[int], Any] | None:
        """What reads the target of an offset; None for a number."""
        if isinstance(field, Many):
            return partial(self._tables_at, field.kind)
        if isinstance(field, type):
            return partial(self._table, field)
        if isinstance(field, int):
            return partial(self._span, field)
        return {TEXT: self._text, INTS: self._ints, FLOATS: self._floats}.get(field)

    def _tables_at(self, kind: type, place: int) -> list[Any]:
        length = self._number(_WORD, place)
        if length > self._tables:
            raise Unsound("is built to exhaust its reader")
        self._span(4, place)
        offsets = struct.unpack_from(f"<{length}I", self._data, place + 4)
        return [self._table(kind, place + 4 + 4 * n + offset) for n, offset in enumerate(offsets)]

    def _ints(self, place: int) -> tuple[int, ...]:
        length = self._span(4, place)
        self._claim(4 * length)
        return struct.unpack_from(f"<{length}i", self._data, place + 4)

    def _floats(self, place: int) -> Array:
        length = self._span(4, place)
        self._claim(4 * length)
        return np.frombuffer(self._data, np.float32, length, place + 4)

    def _text(self, place: int) -> bytes:
        length = self._span(1, place)
        self._claim(length)
        if self._data[place + 4 + length : place + 5 + length] != b"\0":
            raise self._beyond("the end of a text", place)
        return self._data[place + 4 : place + 4 + length]

    def _span(self, width: int, place: int) -> int:
        """How many elements a vector has that lies whole in the file; its length stands before them."""
        length = self._number(_WORD, place)
        if place & 3 or place + 4 + length * width > self._size:
            raise self._beyond("a vector", place)
        return length

    def _number(self, form: struct.Struct, place: int) -> int:
        if not 0 <= place <= self._size - form.size:
            raise self._beyond("a number", place)
        number: int = form.unpack_from(self._data, place)[0]
        return number

    def _claim(self, length: int) -> None:
        self._room -= length
        self._tables -= 1
        if self._room < 0 or self._tables < 0:
            raise Unsound("is built to exhaust its reader")

    def _beyond(self, what: str, place: int) -> Unsound:
        return Unsound(f"is broken or cut short ({what} at byte {place} of {self._size} does not fit)")


def _slot(options: Options | None, slot: int) -> int:
    """Where a field lies in the file; 0 where it is not there."""
    at = options.slots[slot] if options and slot < len(options.slots) else 0
    return options.place + at if options and at else 0
