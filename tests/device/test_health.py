"""The board's health, read from trees of files that look like a Pi's."""

import os
from pathlib import Path

import msgspec
import pytest

from agent.device.health import Board, clock_synchronised, words


def firmware(pi: Path, text: str, soc: str = "soc") -> None:
    folder = pi / "sys" / "devices" / "platform" / soc / f"{soc}:firmware"
    folder.mkdir(parents=True)
    (folder / "get_throttled").write_text(text)


def test_a_pi_4_at_rest(board: Board) -> None:
    health = board.look()

    assert health.soc_c == 61.82  # of the processor, not of the zone that comes first
    assert health.throttling == ()
    assert health.memory == pytest.approx(0.25, abs=1e-4)
    assert health.memory_free_mb == pytest.approx(2845.1, abs=0.1)
    assert health.rss_mb == pytest.approx(25600 * os.sysconf("SC_PAGE_SIZE") / 2**20)
    assert health.uptime_s == 86523.11
    assert health.cpu is None
    assert board.model() == "Raspberry Pi 4 Model B Rev 1.4"


def test_cpu_is_what_was_busy_since_the_look_before(pi: Path, board: Board) -> None:
    board.look()
    (pi / "proc" / "stat").write_text("cpu  1100 10 250 8200 140 0 20 0 0 0\n")  # busy +150, idle +200, waiting +50

    assert board.look().cpu == pytest.approx(150 / 400)


@pytest.mark.parametrize("soc", ["soc", "soc@107c000000"])
def test_throttling_in_words(pi: Path, board: Board, soc: str) -> None:
    firmware(pi, "50005\n", soc)
    health = board.look()

    assert health.throttling == ("under-voltage", "throttled")
    assert health.throttled_before == ("under-voltage", "throttled")


@pytest.mark.parametrize(
    ("bits", "now", "before"),
    [
        (0x0, (), ()),
        (0x1, ("under-voltage",), ()),
        (0x8, ("soft temperature limit",), ()),
        (0xF0000, (), ("under-voltage", "frequency capped", "throttled", "soft temperature limit")),
        (0x20002, ("frequency capped",), ("frequency capped",)),
        (0x100010, (), ()),  # bits without a meaning are not made up
    ],
)
def test_words(bits: int, now: tuple[str, ...], before: tuple[str, ...]) -> None:
    assert words(bits) == (now, before)


def test_voltage_alone_where_the_firmware_is_not_asked(pi: Path, board: Board) -> None:
    (pi / "sys" / "class" / "hwmon" / "hwmon1" / "in0_lcrit_alarm").write_text("1\n")

    assert board.throttling() == (("under-voltage",), None)


def test_a_board_that_tells_nothing_is_not_guessed_at(tmp_path: Path) -> None:
    health = Board(tmp_path, tmp_path, tmp_path).look()

    nothing = (health.soc_c, health.throttling, health.cpu, health.memory, health.rss_mb, health.uptime_s)
    assert set(nothing) == {None}


def test_a_zone_that_cannot_be_read_now_is_left_out(pi: Path, board: Board) -> None:
    (pi / "sys" / "class" / "thermal" / "thermal_zone1" / "temp").unlink()

    assert board.temperature() == 51.0


def test_the_clock_is_trusted_by_timesyncd_or_the_kernel(pi: Path) -> None:
    run = pi / "run"
    assert not clock_synchronised(run, lambda: 5)
    assert clock_synchronised(run, lambda: 0)
    (run / "systemd" / "timesync").mkdir(parents=True)
    (run / "systemd" / "timesync" / "synchronized").touch()
    assert clock_synchronised(run, lambda: 5)


def test_where_the_kernel_may_not_be_asked_timedated_is(pi: Path) -> None:
    assert clock_synchronised(pi / "run", lambda: -1, lambda: True)
    assert not clock_synchronised(pi / "run", lambda: -1, lambda: False)
    assert not clock_synchronised(pi / "run", lambda: 5, lambda: True)  # the kernel's word is enough


def test_this_machine_answers_and_the_answer_is_json() -> None:
    health = Board().look()

    assert health.rss_mb is not None
    assert health.rss_mb > 1
    assert msgspec.json.decode(msgspec.json.encode(health))["thermal_level"] == 0
