"""A page to ask, closed at the end whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra [web] is not installed")
from tests.web.browser import Browser
from tests.web.served import Served


@pytest.fixture(scope="session")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all: to start it takes longer than most tests."""
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.kill()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def serve(*arguments: Any, **options: Any) -> Served:
        made.append(Served(tmp_path, *arguments, **options))
        return made[-1]

    yield serve
    for one in made:
        one.close()
