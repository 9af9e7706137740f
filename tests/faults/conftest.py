"""Faults against real processes; LOOKOUT_FAULTS=full runs them all, at full size (minutes), else a taste (seconds).

A test that says `seen(number, ...)` gives docs/faults.md its row; a full run writes them there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.fakes.agent import Running, start

__all__ = ["start"]  # a fixture
FULL = os.environ.get("LOOKOUT_FAULTS") == "full"
full = pytest.mark.skipif(not FULL, reason="LOOKOUT_FAULTS=full (make faults) runs it")
TABLE = ROOT / "docs" / "faults.md"
_ROWS: dict[int, str] = {}


def load_consumer() -> ModuleType:
    """The reference consumer of the documentation."""
    spec = importlib.util.spec_from_file_location("consumer", ROOT / "docs" / "mqtt" / "consumer.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def consumer() -> object:
    return load_consumer().Consumer()


@dataclass
class Row:
    """A fault as it went this time."""

    number: int
    fault: str
    injected: str
    promised: str
    seen: str = ""
    recovered_s: float | None = None

    @contextlib.contextmanager
    def recovery(self) -> Iterator[None]:
        """Times what must come right again."""
        begin = time.monotonic()
        yield
        self.recovered_s = time.monotonic() - begin

    def __str__(self) -> str:
        took = "" if self.recovered_s is None else f"{self.recovered_s:.1f} s"
        cells = (str(self.number), self.fault, self.injected, self.promised, self.seen, took)
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Iterator[Callable[[str, str, str], Row]]:
    """row(fault, injected, promised): the number is the test's file's, unless told. Kept only if the test passes."""
    made: list[Row] = []

    def begin(fault: str, injected: str, promised: str, *, number: int | None = None) -> Row:
        match = re.match(r"test_(\d+)_", request.path.name)
        assert match
        made.append(Row(number or int(match[1]), fault, injected, promised))
        return made[-1]

    failed = request.session.testsfailed
    yield begin
    if request.session.testsfailed == failed:
        _ROWS.update({one.number: str(one) for one in made if one.seen})


def pytest_sessionfinish() -> None:
    """Rows of this run take the place of those that stand there."""
    if FULL and _ROWS:
        write_rows(_ROWS)


def write_rows(rows: Mapping[int, str]) -> None:
    """Into the table, by their numbers."""
    text = TABLE.read_text("utf-8")
    head = re.split(r"^\| \d", text, maxsplit=1, flags=re.MULTILINE)[0]
    old = {int(number): line for line, number in re.findall(r"^(\| (\d+) \|.*)$", text, re.MULTILINE)}
    lines = [line for _, line in sorted({**old, **rows}.items())]
    TABLE.write_text(head + "\n".join(lines) + "\n", "utf-8")


FAULTY = '[cameras.yard]\nkind = "faulty"\nstale_s = 1.5\n'


class Faulty:
    """An agent whose camera `yard` and whose model misbehave on a word."""

    def __init__(self, folder: Path, start: Callable[..., Running]) -> None:
        self._folder, self._start = folder, start

    def __call__(self, more: str = "", camera: str = FAULTY, **options: Any) -> Running:
        environ = {"HOOKS": str(self._folder), **options.pop("environ", {})}
        return self._start(camera + more, "-m", "tests.faults.hooked", environ=environ, **options)

    def camera(self, word: str) -> None:
        put_word(self._folder, "camera", word)

    def model(self, word: str) -> None:
        put_word(self._folder, "model", word)


def put_word(folder: Path, of: str, word: str) -> None:
    """From now on `of` (camera, model) does so; read by tests/faults/hooked.py."""
    draft = folder / f"{of}.new"
    draft.write_text(word)
    draft.replace(folder / of)


@pytest.fixture
def faulty(tmp_path: Path, start: Callable[..., Running]) -> Faulty:
    return Faulty(tmp_path, start)


class Harm:
    """What harm.c does to the programs that are started with `environ`."""

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "harm.so", folder / "harm"
        source = ROOT / "tests" / "fakes" / "harm.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
        self._file.write_bytes(bytes(24))
        self.environ = {"LD_PRELOAD": str(library), "HARM": str(self._file)}

    def __call__(self, *, clock_s: int = 0, sync_ms: int = 0, sync_errno: int = 0) -> None:
        """From now on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=3q", clock_s, sync_ms, sync_errno))


@pytest.fixture
def harm(tmp_path: Path) -> Harm:
    if not shutil.which("cc"):
        pytest.skip("no C compiler (apt install gcc)")
    return Harm(tmp_path)
