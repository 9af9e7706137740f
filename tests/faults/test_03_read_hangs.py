"""A read that never returns: its thread is given up, a new one opened; after three the process ends to be restarted."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.conftest import FULL, Faulty, Row

ROUNDS = 20 if FULL else 1


def test_a_read_that_comes_round_late_leaves_nothing_and_three_that_do_not_end_the_process(
    faulty: Faulty, row: Callable[..., Row]
) -> None:
    told = row("read() blocks for ever", f"{ROUNDS} times 1.5 s, then for good", "opened anew; the third exits")
    agent = faulty()
    agent.frames()
    threads, files = agent.process.threads, agent.process.files
    for n in range(ROUNDS):
        faulty.camera("hang")
        agent.wait(lambda n=n: agent.of("yard/status").count(b"offline") > n, "the camera told offline", 5)
        with told.recovery():
            faulty.camera("ok")
            agent.wait(lambda: agent.of("yard/status")[-1] == b"online", "the camera back")
    agent.frames()
    agent.wait(lambda: agent.process.threads <= threads, "the threads that hung have ended")
    assert agent.process.files <= files
    faulty.camera("hang")
    assert agent.process.ended() == 2
    assert "3 reads hang in its driver; exiting to be restarted" in agent.process.log().splitlines()[-1]
    told.seen = f"threads and files as before after {ROUNDS}; exit code 2 after three that stayed"
