"""An exception in the middle of MQTT's callbacks: that connection ends, a new one takes up what was not delivered."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.conftest import Faulty, Row, put_word


def test_a_new_connection_goes_on(faulty: Faulty, row: Callable[..., Row]) -> None:
    told = row("exception in an MQTT callback", "the message callback raises", "a new connection in 5 s; nothing stuck")
    agent = faulty()
    agent.frames()
    put_word(agent.folder, "callback", "raise")
    agent.heard.client.publish("lookout/pi/command/snapshot", '{"camera": "yard"}', qos=1)
    agent.wait(lambda: b"offline" in agent.of("status"), "the connection ended")
    with told.recovery():
        put_word(agent.folder, "callback", "ok")
        agent.wait(lambda: agent.of("status")[-1] == b"online", "the next one")
    agent.frames()
    assert told.recovered_s is not None
    assert told.recovered_s < 5
    assert "unexpected RuntimeError: a callback's own trouble; retrying" in agent.process.log()
    told.seen = "offline told, online again, the next command obeyed"
