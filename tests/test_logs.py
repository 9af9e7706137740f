"""Log lines for a terminal, for journald and for collectors, from a real process's stderr."""

import json
import os
import re
import subprocess
import sys

import pytest

SAY = """
import logging, sys
from agent import logs
logs.setup(sys.argv[1])
log = logging.getLogger("agent.capture.supervisor")
log.info("camera %s: online", "yard")
log.warning("camera yard: gave\\nno frame")
log.debug("not asked for")
"""


def said(style: str, **environment: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    done = subprocess.run(
        [sys.executable, "-c", SAY, style], env=clean | environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_a_terminal_gets_the_time_and_the_level_of_what_is_bad() -> None:
    lines = said("auto")

    assert re.fullmatch(r"\d\d:\d\d:\d\d camera yard: online", lines[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning: camera yard: gave", lines[1])


def test_journald_gets_a_priority_on_every_line_and_no_time() -> None:
    assert said("auto", JOURNAL_STREAM="9:12345") == [
        "<6>camera yard: online",
        "<4>camera yard: gave",
        "<4>no frame",
    ]


@pytest.mark.parametrize("environment", [{}, {"JOURNAL_STREAM": "9:12345"}])
def test_json_is_an_object_a_line(environment: dict[str, str]) -> None:
    rows = [json.loads(line) for line in said("json", **environment)]

    assert [(row["level"], row["room"], row["message"]) for row in rows] == [
        ("info", "capture.supervisor", "camera yard: online"),
        ("warning", "capture.supervisor", "camera yard: gave\nno frame"),
    ]
    assert all(row["t"] > 1_600_000_000 for row in rows)
