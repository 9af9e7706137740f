"""A disk whose sync fails (EIO): events go on from memory, that is told, and the disk is used again once it works."""

from __future__ import annotations

import errno
from collections.abc import Callable

from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Harm, Row, full
from tests.faults.test_31_outbox_damaged import events_come


@full
def test_events_go_on_from_memory(start: Callable[..., Running], harm: Harm, row: Callable[..., Row]) -> None:
    told = row("fsync returns EIO", "LD_PRELOAD", "told in health; events from memory; the disk again")
    agent = start(YARD, environ=harm.environ)
    harm(sync_errno=errno.EIO)
    events_come(agent)
    agent.wait(lambda: "disk I/O error" in agent.health()["outbox"], "the trouble told")
    events_come(agent)
    with told.recovery():
        harm()
        agent.wait(lambda: agent.health()["outbox"] == "ok", "the disk again")
    events_come(agent)
    assert "Traceback" not in agent.process.log()
    told.seen = "told in health within its period"
