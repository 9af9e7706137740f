"""python -m convert: what it prints, and that every error is one line."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import modelfile
from convert.__main__ import main
from convert.int8 import quantize, ranges
from convert.tflite import finalise, graph
from tests.convert import tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path):
    """A packed int8 model."""
    flatbuffer = finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)
    chosen = dict.fromkeys(graph.read(flatbuffer).activations(), (-8.0, 8.0)) | {"image": ranges.of_input((-1.0, 1.0))}
    int8 = finalise.tidy(quantize.static_int8(flatbuffer, chosen), {"image": "image"}, tiny.SAME)
    path = tmp_path / "tiny.tflite"
    path.write_bytes(modelfile.pack(int8, tiny.CARD, {"verdict": "kept"})[0])
    return path


def test_inspect_says_what_is_inside_and_what_the_card_says(model, capsys):
    assert main(["inspect", str(model)]) == 0
    out = capsys.readouterr().out
    assert "input     image            int8 [1, 32, 48, 3], scale 0.00784314, zero point 0" in out
    assert "4 CONV_2D v3" in out
    assert "float     0 of 7 operators" in out
    assert "card      detect, head ssd, 3 labels" in out


def test_inspect_says_where_a_file_of_another_maker_has_no_card(data_dir, capsys):
    assert main(["inspect", str(data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite")]) == 0
    out = capsys.readouterr().out
    assert "card      none: a file of another maker" in out
    assert "TFLite_Detection_PostProcess" in out


def test_evaluate_prints_map_as_json(model, tmp_path, capsys):
    for folder in ("images", "labels"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "data" / "images" / "a.png"), np.full((40, 60, 3), 90, np.uint8))
    (tmp_path / "data" / "labels" / "a.txt").write_text("1 .5 .5 .5 .5\n")
    assert main(["evaluate", str(model), "--data", str(tmp_path / "data")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == "tiny.tflite"
    assert result["images"] == 1
    assert 0 <= result["map"] <= result["map50"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "no.tflite"], "convert: model no.tflite: No such file or directory"),
        (["inspect", "README.md"], "convert: model README.md: not a TFLite file"),
        (["build", "no.recipe.toml"], "convert: recipe no.recipe.toml: No such file or directory"),
        (["evaluate", "no.tflite", "--data", "."], "convert: model no.tflite: No such file or directory"),
    ],
    ids=["inspect missing", "inspect other", "build missing", "evaluate missing"],
)
def test_errors_are_one_line_and_exit_code_2(arguments, message, tmp_path):
    (tmp_path / "README.md").write_text("# not a model\n")
    done = subprocess.run(
        [sys.executable, "-m", "convert", *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert all(command in out for command in ("build", "inspect", "evaluate"))
