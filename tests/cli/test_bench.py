"""`agent bench` measures what it says, on any source, and its JSON is complete."""

import subprocess
import sys
from pathlib import Path

import msgspec

from agent.cli.bench import Report, table


def bench(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "agent", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_figures_are_of_the_threads_asked_for_and_agree_with_each_other(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = bench("--frames", 3, "--rounds", 2, "--threads", 1, 2, "--json", file)
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert [result.threads for result in report.results] == [1, 2]
    assert (report.frames, report.size) == (3, (640, 480))
    for result in report.results:
        assert abs(result.share - result.fps / result.raw_fps) < 0.01
        assert result.invokes == 1  # a frame in mode full
        assert {"letterbox", "invoke", "decode", "track"} <= result.stages_ms.keys()
        assert all(0 <= stage.p50 <= stage.p99 for stage in result.stages_ms.values())
        assert result.stages_ms["invoke"].p50 > result.stages_ms["letterbox"].p50
    assert report.peak_rss_mb > 10
    assert table(report) in done.stdout


def test_a_clip_that_is_missing_is_one_line() -> None:
    done = bench("--source", "nowhere.avi")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == "lookout: clip nowhere.avi: no such file"
    assert "Traceback" not in done.stderr


def test_no_threads_is_refused() -> None:
    done = bench("--threads", 0)
    assert done.returncode == 2
    assert "must be a whole number from 1 on, not '0'" in done.stderr
