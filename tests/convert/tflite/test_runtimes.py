"""Another runtime's word on a model: a Python that plays tflite_runtime, by this one's interpreter."""

import stat
import sys

import pytest

from convert import ConvertError
from convert.int8 import quantize, ranges
from convert.tflite import finalise, graph, runtimes
from tests.convert import tiny


@pytest.fixture
def int8():
    model = finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)
    chosen = dict.fromkeys(graph.read(model).activations(), (-8.0, 8.0)) | {"image": ranges.of_input((-1.0, 1.0))}
    return finalise.tidy(quantize.static_int8(model, chosen), {"image": "image"}, tiny.SAME)


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """runtime(code) puts a tflite_runtime in front of a Python, and names that Python."""

    def make(code):
        package = tmp_path / "tflite_runtime"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "interpreter.py").write_text(code)
        (tmp_path / "tflite_runtime-2.14.0.dist-info").mkdir()
        (tmp_path / "tflite_runtime-2.14.0.dist-info" / "METADATA").write_text(
            "Name: tflite-runtime\nVersion: 2.14.0\n"
        )
        program = tmp_path / "python"
        program.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv(runtimes.VARIABLE, str(program))

    return make


HONEST = "from ai_edge_litert.interpreter import Interpreter\n"
LIAR = (
    HONEST
    + """
class Interpreter(Interpreter):
    def get_tensor(self, index):
        return super().get_tensor(index) // 4
"""
)


def test_without_another_runtime_nothing_is_said(int8, monkeypatch):
    monkeypatch.delenv(runtimes.VARIABLE, raising=False)
    assert runtimes.elsewhere(int8) == {}


def test_the_same_bits_are_told(int8, runtime):
    runtime(HONEST)
    assert runtimes.elsewhere(int8) == {"tflite_runtime": "2.14.0", "identical": True, "apart": 0.0}


def test_another_answer_is_an_error(int8, runtime):
    runtime(LIAR)
    with pytest.raises(ConvertError, match=r"tflite_runtime answers \d+ steps of int8 apart"):
        runtimes.elsewhere(int8)


def test_a_runtime_that_fails_is_told_in_its_own_last_words(int8, runtime):
    runtime("raise ImportError('numpy 2 is too new')\n")
    with pytest.raises(ConvertError, match="tflite_runtime cannot run the model: ImportError: numpy 2 is too new"):
        runtimes.elsewhere(int8)


def test_a_python_that_is_not_there_is_named(int8, monkeypatch, tmp_path):
    monkeypatch.setenv(runtimes.VARIABLE, str(tmp_path / "no-python"))
    with pytest.raises(ConvertError, match=r"LOOKOUT_TFLITE_RUNTIME=.*no-python"):
        runtimes.elsewhere(int8)
