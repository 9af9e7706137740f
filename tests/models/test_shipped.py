"""The small models that the recipes made and that are shipped: what their cards promise."""

import pytest

from agent import modelfile
from agent.detect.model import Model
from tests.conftest import ROOT

LEAST = {"digits": 0.985}  # top-1 of the int8 file, held-out, as its own report has it


@pytest.mark.parametrize("name", LEAST)
def test_a_shipped_recipe_is_small_free_and_as_good_as_was_asked(name):
    path = ROOT / "models" / f"{name}_int8.tflite"
    model, file = Model(path), modelfile.read(path)
    assert path.stat().st_size <= 100_000
    assert model.card.licence == "MIT"
    assert model.card.quant.scheme == "int8"
    assert not model.card.quant.float_ops
    assert file.report["accuracy"]["int8"]["top1"] >= LEAST[name]
    assert model.classifier()
