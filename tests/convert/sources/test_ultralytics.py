"""Checkpoints with --trust, through a stand-in for the user's own Ultralytics: what it is asked for, how it fails."""

import sys

import pytest

from convert import ConvertError, sources
from convert.sources import Request
from tests.convert.sources import graphs
from tests.convert.sources.test_onnx import needs_onnx2tf
from tests.convert.test_bad_inputs import called

PACKAGE = """
import shutil


class YOLO:
    def __init__(self, path):
        self.path = path

    def export(self, **options):
        if options != {wanted!r}:
            raise SystemExit(f"asked for {{options}}")
        {what}
        return self.path.replace(".pt", ".onnx")
"""
ASKED = {"format": "onnx", "simplify": False, "dynamic": False}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "best.pt"
    path.write_bytes(called("ultralytics.nn.tasks", "DetectionModel"))
    return path


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A function that installs an Ultralytics whose export does what is said, for the options that are wanted."""

    def install(what, wanted=ASKED):
        package = tmp_path / "site" / "ultralytics"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(PACKAGE.format(wanted=wanted, what=what))
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        monkeypatch.setenv("LOOKOUT_ULTRALYTICS", str(python))

    return install


@needs_onnx2tf
def test_a_trusted_checkpoint_is_exported_and_goes_on_as_its_onnx(tmp_path, checkpoint, stand_in):
    metadata = {"names": "{0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e'}"}
    made = graphs.saved(tmp_path / "v8.onnx", graphs.v8(), metadata=metadata)
    stand_in(f'shutil.copy({str(made)!r}, self.path.replace(".pt", ".onnx"))')
    found = sources.read(Request(checkpoint, trust=True))
    assert (found.card.task, found.card.head, found.card.labels) == ("detect", "yolo", tuple("abcde"))
    assert found.card.source["file"] == "best.pt"
    assert found.model == sources.read(Request(made)).model


def test_the_size_that_the_user_wants_is_asked_for_height_first(checkpoint, stand_in):
    stand_in("pass", ASKED | {"imgsz": [64, 96]})
    with pytest.raises(ConvertError, match=r"best\.pt: ultralytics ended without an ONNX file; export it by hand"):
        sources.read(Request(checkpoint, size=(96, 64), trust=True))


def test_the_last_words_of_an_export_that_fails_are_told(checkpoint, stand_in):
    stand_in('raise RuntimeError("no kernel for this")')
    with pytest.raises(ConvertError, match=r"best\.pt: ultralytics .*") as caught:
        sources.read(Request(checkpoint, trust=True))
    assert "no kernel for this" in str(caught.value)
    assert "\n" not in str(caught.value)
