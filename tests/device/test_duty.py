"""What the loop does for the board between two frames."""

from pathlib import Path

import pytest

from agent import config
from agent.device import duty
from agent.device.health import Board, Health
from agent.device.thermal import Thermal
from agent.device.watchdog import Watchdog
from agent.pipeline import Tally


class Loop:
    def __init__(self) -> None:
        self.slow_by = 1.0
        self.tally = Tally()


def test_a_hot_board_slows_the_loop_and_the_health_says_so(
    pi: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty, "LOOK_S", 0.0)
    (pi / "sys" / "class" / "thermal" / "thermal_zone1" / "temp").write_text("81000\n")
    told: list[Health] = []
    loop = Loop()
    beat = duty.Duty(loop, Watchdog([], {}), Thermal(config.Thermal()), board=board, tell=[told.append])
    loop.tally = Tally(frames=30, dropped=4, stage_ms={"invoke": 900.0})
    beat()

    assert loop.slow_by == 2
    assert told[-1].thermal_level == 1
    assert told[-1].soc_c == 81.0
    assert told[-1].dropped == 4
    assert told[-1].stage_ms == {"invoke": 30.0}
    assert told[-1].fps > 0


def test_a_processor_that_stands_in_for_an_accelerator_is_spared(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duty, "LOOK_S", 0.0)
    told: list[Health] = []
    loop, runs_on = Loop(), ["edgetpu usb:0"]
    beat = duty.Duty(
        *(loop, Watchdog([], {}), Thermal(config.Thermal())),
        board=board,
        runs_on=lambda: runs_on[0],
        tell=[told.append],
    )
    beat()
    assert loop.slow_by == 1
    runs_on[0] = "cpu (edgetpu lost: no Coral is plugged in)"
    beat()
    assert loop.slow_by == 2
    assert [health.runs_on for health in told] == ["edgetpu usb:0", runs_on[0]]


def test_a_board_that_stays_hot_has_fewer_crops_and_then_one_thread(
    pi: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty, "LOOK_S", 0.0)
    (pi / "sys" / "class" / "thermal" / "thermal_zone1" / "temp").write_text("81000\n")
    heard: list[tuple[bool, bool]] = []
    beat = duty.Duty(
        *(Loop(), Watchdog([], {}), Thermal(config.Thermal(settle_s=1))),
        board=board,
        spare=lambda *less: heard.append(less),
    )
    for n in range(3):
        monkeypatch.setattr(duty.time, "monotonic", lambda n=n: 1e6 + 10.0 * n)
        beat()

    assert heard == [(False, False), (True, False), (True, True)]


def test_the_board_is_not_looked_at_in_every_round(board: Board) -> None:
    told: list[Health] = []
    beat = duty.Duty(Loop(), Watchdog([], {}), Thermal(config.Thermal()), board=board, tell=[told.append])
    for _ in range(50):
        beat()

    assert not told


def test_freed_memory_goes_back_at_each_look_and_garbage_once_a_minute(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, collected, t = [], [], 1e6
    monkeypatch.setattr(duty.heap, "give_back", lambda: given.append(t))
    monkeypatch.setattr(duty.heap, "collect", lambda: collected.append(t))
    monkeypatch.setattr(duty.time, "monotonic", lambda: t)
    beat = duty.Duty(Loop(), Watchdog([], {}), Thermal(config.Thermal()), board=board)
    for _ in range(40):
        t += 5.0
        beat()

    assert collected == [1e6 + 60, 1e6 + 120, 1e6 + 180]
    assert sorted(given + collected) == [1e6 + 5.0 * n for n in range(1, 41)]
