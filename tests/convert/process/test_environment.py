"""Pythons for front ends: found, named, or made; an empty package index stands for one out of reach."""

import logging
import sys
from pathlib import Path

import pytest

from convert import ConvertError
from convert.process import environment
from convert.process.environment import Recipe

HERE = (sys.version_info.major, sys.version_info.minor)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for tool in ("TENSORFLOW", "ONNX2TF", "ULTRALYTICS"):
        monkeypatch.delenv(f"LOOKOUT_{tool}", raising=False)
    return tmp_path / "lookout"


def test_this_python_is_found_for_its_own_version():
    assert environment.interpreter(HERE, HERE) == Path(sys.executable)


def test_a_version_that_nobody_has_is_not_found():
    assert environment.interpreter((3, 98), (3, 99)) is None


def test_an_environment_is_made_once(cache, caplog):
    caplog.set_level(logging.INFO)
    recipe = Recipe("empty-1", ("pip",), HERE, HERE, "20 MB")
    python = environment.made(recipe)
    assert python == cache / "empty-1" / "bin" / "python"
    assert python.exists()
    assert sum("setting up empty-1" in r.message for r in caplog.records) == 1
    stamp = (cache / "empty-1" / "ready").stat().st_mtime_ns
    assert environment.made(recipe) == python
    assert (cache / "empty-1" / "ready").stat().st_mtime_ns == stamp


def test_one_that_cannot_be_made_says_why_and_leaves_nothing(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    recipe = Recipe("nothing-1", ("lookout-no-such-package",), HERE, HERE, "0 MB")
    with pytest.raises(ConvertError, match="could not set up nothing-1: ERROR: No matching distribution") as caught:
        environment.made(recipe)
    assert "\n" not in str(caught.value)
    assert not (cache / "nothing-1").exists()
    assert "No matching distribution" in (cache / "nothing-1.log").read_text()


def test_one_for_a_python_that_is_not_here_says_so():
    with pytest.raises(
        ConvertError, match=r"^x needs Python 3\.98 to 3\.99: none on PATH, in pyenv or in uv; install one$"
    ):
        environment.made(Recipe("x", (), (3, 98), (3, 99), "0 MB"))


@pytest.mark.parametrize("tool", ["tensorflow", "onnx2tf", "ultralytics"])
def test_a_python_that_the_user_names_is_taken(tool, monkeypatch):
    monkeypatch.setenv(f"LOOKOUT_{tool.upper()}", sys.executable)
    assert getattr(environment, tool)() == Path(sys.executable)


def test_a_named_one_that_is_no_program_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("LOOKOUT_ONNX2TF", str(tmp_path))
    with pytest.raises(ConvertError, match=r"LOOKOUT_ONNX2TF=.*: not a program; name a Python executable"):
        environment.onnx2tf()


def test_without_a_new_python_the_old_onnx2tf_is_taken(monkeypatch):
    taken = []
    monkeypatch.setattr(environment, "interpreter", lambda least, most: None)
    monkeypatch.setattr(environment, "made", lambda recipe: taken.append(recipe.name) or Path("python"))
    environment.onnx2tf()
    assert taken == ["onnx2tf-1.29.24"]


def test_ultralytics_is_never_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConvertError, match="Lookout does not bring it"):
        environment.ultralytics()


def test_a_cache_that_cannot_be_written_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConvertError, match=r"cache folder .*: Not a directory; set XDG_CACHE_HOME"):
        environment.made(Recipe("y", (), HERE, HERE, "0 MB"))
