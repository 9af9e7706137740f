"""A page to ask, closed at the end whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra [web] is not installed")
from tests.web.served import Served


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def serve(*arguments: Any, **options: Any) -> Served:
        made.append(Served(tmp_path, *arguments, **options))
        return made[-1]

    yield serve
    for one in made:
        one.close()
