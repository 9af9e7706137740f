"""Recipes in small, as a user runs them: data -> model -> fit -> convert -> a file that the agent runs."""

import subprocess

import cv2
import numpy as np
import pytest

from agent.detect.model import Model
from convert.novelty import LEAST
from tests.conftest import ROOT
from tests.models import drawn
from tests.models.made import folder, needs_training, python


def run(name, *options, out):
    """The recipe's exit code and what it said."""
    command = [python(), "-m", f"models.recipes.{name}", "--out", str(out), *map(str, options)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    return done.returncode, done.stderr


def tables(path):
    path.write_text("".join(
        f"<!-- written by the recipes: {part} -->\n| head |\n|---|\n<!-- end -->\n"
        for part in ("segmenters", "embedders", "autoencoders", "detectors")
    ))  # fmt: skip
    return path


@needs_training
def test_segment(tmp_path):
    data, table = drawn.masked(tmp_path / "d", 15), tables(tmp_path / "README.md")
    code, said = run("segment", "--data", data, "--labels", "ground,disc", "--size", "48x32", "--width", 4,
                     "--epochs", 12, "--table", table, out=tmp_path / "out")  # fmt: skip
    assert code == 0, said
    model = Model(tmp_path / "out" / "segment_int8.tflite")
    assert model.segmenter().mask([np.zeros((1, 16, 24, 2), np.int8)]).shape == (16, 24)
    assert model.card.labels == ("ground", "disc")
    assert "| `segment` d | 12 / 3 |" in table.read_text()


@needs_training
def test_embed(tmp_path):
    data = folder(tmp_path / "d", dict.fromkeys("abcde", 4), size=32)
    clean = folder(tmp_path / "clean", dict.fromkeys("abcde", 1), size=32, seed=9)
    code, said = run("embed", "--data", data, "--gallery", clean, "--trunk", "none", "--cut", "blocks.2.add",
                     "--learn-from=all", "--size", 32, "--epochs", 2, "--numbers", 64, "--budget", 1,
                     out=tmp_path / "out")  # fmt: skip
    assert code == 0, said
    assert Model(tmp_path / "out" / "embed_int8.tflite").card.outputs[0].shape == (1, 64)
    assert all(f"likeness   {way}" in said for way in ("raw pixels", "trunk, random", "float", "int8"))
    assert "recall@1" in said


@needs_training
def test_embed_where_a_mirror_changes_nothing(tmp_path):
    data = folder(tmp_path / "d", dict.fromkeys("abcde", 4), size=32)
    code, said = run("embed", "--data", data, "--trunk", "none", "--cut", "blocks.2.add", "--learn-from=all",
                     "--size", 32, "--epochs", 1, "--numbers", 64, "--budget", 1, "--mirror",
                     out=tmp_path / "out")  # fmt: skip
    assert code == 0, said
    assert Model(tmp_path / "out" / "embed_int8.tflite").card.decode == {"mirror": True}


@needs_training
def test_autoencoder(tmp_path):
    generator = np.random.default_rng(0)
    for part, kind, count in (("train", "good", LEAST + 2), ("test", "good", 4), ("test", "blot", 4)):
        inside = tmp_path / "d" / part / kind
        inside.mkdir(parents=True)
        for i in range(count):
            image = generator.integers(100, 120, (32, 32, 3)).astype(np.uint8)
            if kind == "blot":
                cv2.circle(image, (12, 16), 5, (240, 20, 20), -1)
            cv2.imwrite(str(inside / f"{part}-{kind}-{i}.png"), image)
    code, said = run("autoencoder", "--data", tmp_path / "d", "--trunk", "none", "--size", "64x64", "--epochs", 3,
                     "--budget", 1, out=tmp_path / "out")  # fmt: skip
    assert code == 0, said
    model = Model(tmp_path / "out" / "autoencoder_int8.tflite")
    assert (model.card.task, model.card.labels) == ("segment", ("usual", "strange"))
    assert model.segmenter().mask([np.zeros((1, 8, 8, 1), np.int8)]).shape == (8, 8)
    assert "auroc      blot" in said
    assert "novelty 1.000" in said


@needs_training
def test_detector(tmp_path):
    data = drawn.boxed(tmp_path / "d", 12)
    code, said = run("detector", "--data", data, "--trunk", "none", "--size", "96x64", "--epochs", 1,
                     out=tmp_path / "out")  # fmt: skip
    assert code == 0, said
    model = Model(tmp_path / "out" / "detector_int8.tflite")
    assert (model.card.head, model.card.labels) == ("yolo", ("disc",))
    model.head(0.5)
    assert "figures    | `detector` d | " in said


def _bad(tmp_path, name):
    if name == "embed":
        return folder(tmp_path / "d", {"anna": 6}), ()
    if name == "segment":
        drawn.masked(tmp_path / "d", 8)
        cv2.imwrite(str(tmp_path / "d" / "masks" / "p1.png"), np.ones((9, 9), np.uint8))
        return tmp_path / "d", ("--labels", "ground,disc")
    if name == "detector":
        drawn.boxed(tmp_path / "d", 12)
        (tmp_path / "d" / "labels" / "p1.txt").write_text("0 0.9 0.5 0.6 0.2\n")
        return tmp_path / "d", ()
    return folder(tmp_path / "d", {"good": 3}), ()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("segment", "p1.png: is 9 x 9 px, its picture 48 x 32"),
        ("embed", "one class only (anna)"),
        ("detector", "p1.txt: box 1 is empty or reaches out of its picture"),
        ("autoencoder", "wants train/good, test/good and test/KIND with pictures"),
    ],
)
def test_bad_data_ends_a_recipe_in_one_line_before_it_trains(tmp_path, capsys, name, says):
    data, options = _bad(tmp_path, name)
    recipe = __import__(f"models.recipes.{name}", fromlist=["main"])
    assert recipe.main(["--data", str(data), "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out" / "state.npz").exists()
