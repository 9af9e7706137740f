"""The agent's own models are run apart once, whatever their card says; a verdict is kept, by bytes and runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from msgspec.structs import replace

from agent import config, modelfile
from agent.detect import proof, soundness
from agent.detect.model import Model, opened
from agent.modelfile import ModelError
from agent.pipeline import open_detector
from convert.tflite import graph
from tests.convert import tiny

CARD = modelfile.Card("detect", "ssd", ("person",), modelfile.Input((8, 8)))


def greedy() -> bytes:
    """A few bytes that TILE into 64 GB: nothing in the file says so but the numbers that an operator computes with."""
    build = tiny.Builder()
    image = build.tensor("image", (1, 8, 8, 3))
    times = build.tensor("times", (4,), np.array([1, 5000, 50_000, 1], np.int32))
    out = build.tensor("out", (1, 8, 8, 3))
    build.operator("TILE", [image, times], [out], schema.TileOptionsT())
    build.graph.inputs, build.graph.outputs = [image], [out]
    return graph.pack(build.model)


@pytest.fixture
def model(tmp_path: Path) -> config.Model:
    """One with a card whose checksum is right."""
    path = tmp_path / "theirs.tflite"
    path.write_bytes(modelfile.pack(tiny.flatbuffer(), CARD)[0])
    (tmp_path / "state").mkdir()
    return config.Model(file=path)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were run in a child, which finds no fault with them."""
    made: list[Path] = []
    monkeypatch.setattr(proof, "child", lambda _, path, __: made.append(path))
    monkeypatch.setattr(proof, "_known", set())
    return made


def start_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process, which knows nothing but what is kept."""
    monkeypatch.setattr(proof, "_known", set())


@pytest.mark.parametrize(
    ("way", "words"),
    [("crash", r"crashed \(SIGSEGV\)"), ("hang", "took more than 1 s"), ("fail", "failed: a reason")],
)
def test_what_a_child_dies_of_is_one_line(tmp_path: Path, way: str, words: str) -> None:
    (tmp_path / "m").write_text(way)
    with pytest.raises(ModelError, match=words):
        proof.child("tests.fakes.crashing", tmp_path / "m", 1.0)


def test_a_sound_file_that_wants_all_memory_harms_a_child_alone(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(greedy())
    assert soundness.unknown(soundness.check(greedy())) == ""

    with pytest.raises(ModelError, match="its first run, in a process of its own,") as caught:
        Model(tmp_path / "m.tflite")

    assert "\n" not in str(caught.value)


def test_a_file_of_another_maker_is_run_apart_first_and_only_once(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    monkeypatch.setattr(proof, "child", lambda *asked: runs.append(asked))
    file = tmp_path / "theirs.tflite"
    file.write_bytes((data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite").read_bytes())

    for _ in range(2):
        Model(file)
    Model(config.shipped(config.DEFAULT_MODEL))

    assert [path for _, path, _ in runs] == [file]


def test_a_hostile_file_with_a_card_of_its_own_harms_a_child_alone(tmp_path: Path) -> None:
    hostile = tmp_path / "m.tflite"
    hostile.write_bytes(modelfile.pack(greedy(), CARD)[0])
    assert modelfile.read(hostile).card, "it is whole, and says so"
    settings = config.Config({}, state_dir=tmp_path, model=config.Model(file=hostile))

    for _ in range(2):  # no verdict is kept of what failed
        with pytest.raises(ModelError, match="its first run, in a process of its own,") as caught:
            open_detector(settings)
        assert "\n" not in str(caught.value)


def test_what_came_through_is_remembered_over_restarts(
    tmp_path: Path, model: config.Model, runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        opened(model, tmp_path / "state")
        start_anew(monkeypatch)

    assert runs == [model.file]


@pytest.mark.parametrize("damage", [b"", b"\xff\x00" * 300])
def test_without_its_book_a_file_runs_again(
    tmp_path: Path, model: config.Model, runs: list[Path], monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    for _ in range(2):
        opened(model, tmp_path / "state")
        start_anew(monkeypatch)
        (tmp_path / "state" / "proved").write_bytes(damage)

    assert len(runs) == 2


def test_other_bytes_and_another_runtime_are_strangers_again(
    tmp_path: Path, model: config.Model, runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(model, tmp_path / "state")
    model.file.write_bytes(modelfile.pack(tiny.flatbuffer() + bytes(4), CARD)[0])
    opened(model, tmp_path / "state")
    assert len(runs) == 2

    start_anew(monkeypatch)
    monkeypatch.setattr("ai_edge_litert.__version__", "99", raising=False)
    opened(model, tmp_path / "state")
    assert len(runs) == 3


def test_shipped_models_and_those_that_an_update_tried_are_known(
    tmp_path: Path, model: config.Model, runs: list[Path]
) -> None:
    installed = tmp_path / "state" / "models" / "ab" / "m.tflite"
    installed.parent.mkdir(parents=True)
    installed.write_bytes(model.file.read_bytes())

    opened(config.Model(), tmp_path / "state")
    opened(replace(model, file=installed), tmp_path / "state")

    assert runs == []


def test_a_state_folder_that_takes_nothing_is_no_trouble(tmp_path: Path, model: config.Model, runs: list[Path]) -> None:
    (tmp_path / "state" / ".proved").mkdir()  # where the draft would go
    opened(model, tmp_path / "state")
    opened(replace(model), tmp_path / "nowhere")

    assert runs == [model.file]
    assert not (tmp_path / "nowhere").exists()
