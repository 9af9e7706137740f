"""docs/recognition.md tells the truth: its config is good with models of those kinds, its commands run in order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
import msgspec
import pytest

from agent import config
from agent.__main__ import main
from agent.detect.secondary import stage
from agent.sections import Second
from tests.detect.secondary import eyes
from tests.detect.secondary.test_kinds import thing

TEXT = (Path(__file__).parent.parent / "docs" / "recognition.md").read_text("utf-8")
CAMERA = 'state_dir = "state"\n[cameras.yard]\nkind = "synthetic"\n'


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Its agent.toml, the models that it names, and the pictures of its commands."""
    (tmp_path / "agent.toml").write_text(CAMERA + blocks("toml")[0])
    eyes.classifier(tmp_path / "signs.tflite")
    eyes.embedder(tmp_path / "faces.tflite")
    eyes.segmenter(tmp_path / "leaf.tflite")
    for number, name in enumerate(("anna", "bert", "strangers/cleo", "strangers/dora")):
        for view in (1, 2):
            path = tmp_path / (f"{name}/{view}.jpg" if "/" in name else f"{name}{view}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), cv2.cvtColor(thing(number, view), cv2.COLOR_RGB2BGR))
    return tmp_path


def test_its_config_is_good_and_every_kind_is_in_it(folder: Path) -> None:
    settings = config.load(folder / "agent.toml")
    assert {one.kind for one in settings.second.values()} == set(config.plugins.names("detect/secondary/kinds"))
    assert list(stage.flaws(settings.second, settings.state_dir)) == []


def test_its_dark_camera_is_good(tmp_path: Path) -> None:
    assert config.parse(blocks("toml")[1], tmp_path / "agent.toml").cameras["yard"].enhance


def test_its_commands_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for line in blocks("sh")[0].splitlines():
        words = shlex.split(line)
        assert words[:3] == ["python", "-m", "agent"]
        assert main(words[3:]) == 0, line
    assert list((folder / "state").iterdir()) == []


def test_every_key_that_all_kinds_share_is_told() -> None:
    for field in msgspec.structs.fields(Second):
        if field.name != "options":
            assert f"`{field.name}`" in TEXT or f"\n{field.name} = " in TEXT, field.name


@pytest.mark.parametrize("kind", config.plugins.names("detect/secondary/kinds"))
def test_no_kind_has_a_key_of_its_own_that_all_kinds_share(kind: str) -> None:
    own = config.plugins.get("detect/secondary/kinds", kind).Options.__struct_fields__
    assert not set(own) & set(Second.__struct_fields__)
