"""A model file that is missing, cut short or changed: refused in one line before any runtime sees it."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import config, modelfile
from tests.fakes import bare
from tests.faults.conftest import FULL, ROOT, Row

FLIPS, SEED = (300 if FULL else 40), 16
SHIPPED = config.shipped(config.DEFAULT_MODEL)


def refused(folder: Path, data: bytes) -> str:
    """By `run`, as a process."""
    (folder / "mine.tflite").write_bytes(data)
    (folder / "agent.toml").write_text('[cameras.yard]\nkind = "synthetic"\n[model]\nfile = "mine.tflite"\n')
    command = [sys.executable, "-m", "agent", "run", str(folder / "agent.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    return line


def test_each_of_many_bit_flips_is_refused(tmp_path: Path, row: Callable[..., Row]) -> None:
    told = row("model file damaged", "missing, cut short, one to three bits flipped", "refused by its checksum")
    good, dice = SHIPPED.read_bytes(), random.Random(SEED)
    length = len(bare.flatbuffer(SHIPPED))
    mine = tmp_path / "flipped.tflite"
    for _ in range(FLIPS):
        data = bytearray(good)
        for at in dice.sample(range(length), dice.randint(1, 3)):
            data[at] ^= 1 << dice.randrange(8)
        mine.write_bytes(data)
        with pytest.raises(modelfile.ModelError, match=r"sha256|no TFL3 mark"):
            modelfile.read(mine)
    assert "sha256" in refused(tmp_path, bytes(data))
    told.seen = f"{FLIPS} of {FLIPS} flips refused; `run` ends with 2 and one line"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    good = SHIPPED.read_bytes()
    (tmp_path / "mine.json").write_bytes(SHIPPED.with_suffix(".json").read_bytes())
    (tmp_path / "mine.tflite").write_bytes(good[: int(len(good) * share)])
    with pytest.raises(modelfile.ModelError, match=r"sha256|no TFL3 mark"):
        modelfile.read(tmp_path / "mine.tflite")
