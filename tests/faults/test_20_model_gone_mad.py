"""A new model that says the same of every picture: found out on trial, and the one before is back."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.faults.conftest import Faulty, Row, full
from tests.test_updating import another

SEES = "[detect]\nmode = 'full'\n[model]\nconfidence = 0.02\n"  # something in every picture


@full
def test_the_one_before_is_back(faulty: Faulty, row: Callable[..., Row]) -> None:
    told = row("new model of constant outputs", "outputs held still once it is on trial", "rolled back on trial, told")
    agent = faulty(SEES)
    assert agent.update(another("mad"))["ok"]
    with told.recovery():
        faulty.model("constant")
        agent.wait(lambda: agent.events("model_rolled_back"), "the roll-back", 90)
    faulty.model("ok")
    reason = agent.events("model_rolled_back")[0]["detail"]["reason"]
    assert "said the same of" in reason
    state = json.loads((agent.folder / "state" / "models" / "state.json").read_text())
    assert (state["chosen"], len(state["refused"])) == (None, 1)
    agent.frames()
    told.seen = f"rolled back: {reason}"
