"""A model whose card does not fit its tensors: refused by name in a process of its own, the old one goes on."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent import modelfile
from tests.fakes import bare
from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Row
from tests.test_updating import SHIPPED


def misfit() -> bytes:
    """The shipped model with a card that speaks of an input of another size."""
    card = modelfile.read(SHIPPED).card
    assert card
    wrong = msgspec.structs.replace(card, input=msgspec.structs.replace(card.input, size=(64, 48)))
    return modelfile.pack(bare.flatbuffer(SHIPPED), wrong)[0]


def test_it_is_refused_and_the_old_one_goes_on(start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("model with wrong shapes", "card and tensors differ; update_model", "refused, named; the old goes on")
    agent = start(YARD)
    answer = agent.update(misfit())
    assert not answer["ok"]
    assert "[1, 48, 64, 3]" in answer["reason"]
    assert "\n" not in answer["reason"]
    agent.frames()
    assert agent.of("status") == [b"online"]
    told.seen = "refused by its self-test, with both shapes; frames went on"
