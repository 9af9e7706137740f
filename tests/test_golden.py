"""The pipeline says of a known clip what it said before; `make golden` rewrites, and the diff is reviewed."""

from pathlib import Path

import pytest

from tests.golden import CONFIGS, path, replay


@pytest.mark.parametrize("name", CONFIGS)
def test_events_are_those_of_the_golden_file(name: str, data_dir: Path, tmp_path: Path) -> None:
    assert replay(name, data_dir / "video" / "vtest.avi", tmp_path) == path(name).read_text()
