"""docs/security.md and docs/faults.md name tests that there are."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

NAMED = sorted(
    {
        (page, path, name)
        for page in ("security.md", "faults.md")
        for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / page).read_text("utf-8"))
    }
)


@pytest.mark.parametrize(("page", "path", "name"), NAMED, ids=lambda part: part.rpartition("/")[2])
def test_what_a_page_names_is_there(page: str, path: str, name: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    assert not name or f"def {name}(" in text


def test_every_row_of_the_threats_has_a_test_that_shows_it() -> None:
    entries = (ROOT / "docs" / "security.md").read_text("utf-8").split("## ")[1]
    rows = [line for line in entries.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25
    for row in rows:
        assert "`tests/" in row, row
