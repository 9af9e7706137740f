"""Bytes changed at random, by a seed: what strangers send, and what a bad line makes of what friends send."""

from __future__ import annotations

import random

TELLING = (0, 1, 0x7F, 0x80, 0xFF)


def mutated(data: bytes, dice: random.Random) -> bytes:
    """One to eight changes: a bit, a telling byte, a piece removed, repeated, overwritten or moved, or an early end."""
    made = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        if not made:
            break
        at, length = dice.randrange(len(made)), dice.choice((1, 2, 4, 16, 300))
        match dice.randrange(7):
            case 0:
                made[at] ^= 1 << dice.randrange(8)
            case 1:
                made[at] = dice.choice(TELLING)
            case 2:
                del made[at : at + length]
            case 3:
                made[at:at] = made[at : at + length]
            case 4:
                made[at : at + length] = dice.randbytes(min(length, len(made) - at))
            case 5:
                to = dice.randrange(len(made))
                made[to : to + length] = made[at : at + length]
            case 6 if dice.random() < 0.3:
                del made[at:]
    return bytes(made)


class Line:
    """What passes over a line that can be bad: some pieces are changed while `share` says so."""

    def __init__(self, seed: int) -> None:
        self.share, self.harmed, self._dice = 0.0, 0, random.Random(seed)

    def __call__(self, data: bytes) -> bytes:
        if self._dice.random() >= self.share:
            return data
        self.harmed += 1
        return mutated(data, self._dice)
