"""Each recipe for classifiers, shrunken: from class folders to a file that the agent runs and a row of a table."""

import re
import subprocess

import pytest

from agent.detect.model import Model
from models import proof
from models.recipes import transfer
from tests.conftest import ROOT
from tests.models.made import folder, needs_training, python

TRUNK = """
import sys
from models import backbones, training
training.seeded(0)
backbones.plain((32, 32), (4, 8, 16, 16), first=2).save(sys.argv[1])  # grids of 8, 4, 2 are pooled
"""
SMALL = ["--trunk", "trunk.keras", "--size", "32"]
CUT = ["--trunk", "none", "--cut", "blocks.2.add", "--learn-from", "all", "--stops", "1"]
RECIPES = {
    "fashion": ("fashion", ["--epochs", "3"], "fashion", "classifiers"),
    "transfer": ("transfer", [*SMALL, "--epochs", "2", "--name", "lamps", "--curve"], "lamps", "classifiers"),
    "cut": ("transfer", [*CUT, "--size", "32", "--epochs", "1"], "transfer", "classifiers"),
    "scratch": ("transfer", ["--trunk", "plain", "--size", "32", "--epochs", "1"], "transfer", "classifiers"),
    "synthetic": (
        "synthetic",
        [*SMALL, "--seeds", "2", "--few", "3", "--copies", "2", "--kinds", "light"],
        "synthetic",
        "synthetic",
    ),
}


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    """A user's own net, of which the grids are taken."""
    path = tmp_path_factory.mktemp("trunk") / "trunk.keras"
    subprocess.run([python(), "-c", TRUNK, str(path)], cwd=ROOT, check=True, capture_output=True)
    return path


@needs_training
@pytest.mark.parametrize(("recipe", "options", "name", "part"), RECIPES.values(), ids=RECIPES)
def test_a_recipe_goes_from_pictures_to_a_proven_file(recipe, options, name, part, tmp_path, trunk):
    data = folder(tmp_path / "data", {"moon": 20, "sun": 20}, size=32)
    table = tmp_path / "table.md"
    table.write_text("".join(f"{proof.BEGIN.format(p)}\n{proof.END}\n" for p in (part, "few pictures")))
    out = tmp_path / "out"
    own = [str(trunk) if word == "trunk.keras" else word for word in options]
    words = ["--data", str(data), "--out", str(out), "--table", str(table), *own]
    command = [python(), "-m", f"models.recipes.{recipe}", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    model = Model(out / f"{name}_int8.tflite")
    assert model.card.labels == ("moon", "sun")
    assert model.classifier()
    held, learned = (sorted(p.name for p in (out / kind).glob("*/*")) for kind in ("held-out", "calibration"))
    originals = {kind: {re.sub(r"^\w+-\d{5}-", "", n) for n in names} for kind, names in
                 (("held", held), ("learned", learned))}  # fmt: skip
    assert len(held) == 8
    assert not originals["held"] & originals["learned"]
    row, *few = [line for line in table.read_text().splitlines() if line.startswith("| ")]
    assert re.search(r"\d\.\d{3}", row)
    if "--curve" in options:
        share = r"[01]\.\d{3}"
        assert re.fullmatch(rf"\| lamps \| {share} \|(  \|)+ {share} of 32 \|( {share} \|){{2}} [+-]{share} \|", *few)
        assert (out / "pictures.png").exists()
    else:
        assert not few


@needs_training
def test_a_layer_that_is_not_there_is_told_before_training(tmp_path):
    data = folder(tmp_path / "data", {"moon": 5, "sun": 5}, size=32)
    words = ["--data", str(data), "--out", str(tmp_path / "out"), "--trunk", "none", "--size", "32", "--cut", "nose"]
    command = [python(), "-m", "models.recipes.transfer", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "has no layer 'nose'; it has" in done.stderr.splitlines()[-1]


def test_a_curve_needs_a_trunk_to_compare(tmp_path, capsys):
    data = folder(tmp_path / "data", {"moon": 5, "sun": 5}, size=32)
    assert transfer.main(["--data", str(data), "--out", str(tmp_path / "out"), "--trunk", "plain", "--curve"]) == 2
    assert "--curve: compares a trunk with none" in capsys.readouterr().err
