"""The model that ships: its files belong together, and it sees what it saw when it was measured."""

import importlib.util
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from agent import modelfile
from agent.detect.letterbox import pixel_table
from agent.detect.model import Model
from convert import build, recipe
from convert.accuracy import compare, dataset
from convert.int8 import calibration, ranges
from convert.tflite import graph
from convert.tuning import gate

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "ssdlite_mobilenet_v2_coco_int8.tflite"
RECIPE = ROOT / "models" / "ssdlite_mobilenet_v2_coco.recipe.toml"


def recorded():
    path = recipe.ranges_file(RECIPE)
    return ranges.from_json(path.read_bytes(), path.name)


def test_model_sidecar_and_ranges_belong_together():
    file = modelfile.read(MODEL)
    with zipfile.ZipFile(MODEL) as archive:
        assert archive.read("metadata.json") == MODEL.with_suffix(".json").read_bytes()
    assert file.sha256 == file.card.sha256 == recorded().sha256
    assert file.report == recorded().report
    assert file.card.quant.ranges == recorded().rule
    assert ranges.to_json(recorded()) == recipe.ranges_file(RECIPE).read_bytes()


def test_it_is_int8_throughout_and_about_5_mb():
    g = graph.read(MODEL.read_bytes())
    assert graph.float_operators(g) == []
    assert {t.dtype for t in g.tensors if not t.constant} == {"int8"}
    assert 5_000_000 < MODEL.stat().st_size < 6_000_000


def test_pixels_reach_it_by_a_plain_xor():
    model = Model(MODEL)
    assert pixel_table(model.card.input.range, model.backend.inputs[0]) is None


def test_the_card_is_the_recipes():
    card, wanted = modelfile.read(MODEL).card, recipe.load(RECIPE)
    assert card.labels == wanted.card.labels
    assert len(card.labels) == len(set(card.labels)) == len(card.decode["columns"]) == 80
    assert card.decode == wanted.card.decode
    assert card.source["sha256"] == wanted.source["sha256"]
    assert card.licence == "Apache-2.0"


def test_the_recipe_accepts_it():
    assert gate.judge(recorded().report, recipe.load(RECIPE).accept.budget).within


def test_its_labels_are_coco_s_in_yolo_order(data_dir):
    names = dataset.class_names(data_dir / "coco" / "evaluate")
    assert modelfile.read(MODEL).card.labels == tuple(names.values())


def test_it_is_as_good_as_its_report_says(data_dir):
    """The recorded mAP, on the recorded pictures, to what another CPU's float rounding may shift."""
    pytest.importorskip("pycocotools", reason="pycocotools is not installed; pip install '.[convert]'")
    folder, report = data_dir / "coco" / "evaluate", recorded().report["accuracy"]
    paths = calibration.pictures(folder)
    assert calibration.checksum(paths) == report["sha256"]
    recording = compare.record(Model(MODEL), paths)
    truth = dataset.truth(folder, paths, [seen.size for seen in recording.seen], recording.card.labels)
    assert compare.accuracy(recording, truth)["map"] == pytest.approx(report["int8"]["map"], abs=0.005)
    assert report["float32"]["map"] - report["int8"]["map"] < 0.013


def test_it_was_calibrated_on_other_pictures_than_it_is_measured_on(data_dir):
    paths = calibration.shuffle(calibration.pictures(data_dir / "coco" / "calibrate"))
    known = recorded()
    used = known.calibration["images"]
    assert calibration.checksum(paths[:used]) == known.calibration["sha256"]
    assert calibration.checksum(paths[used:]) == known.report["agreement"]["sha256"]


def test_a_rebuild_from_its_source_gives_the_shipped_bytes(tmp_path):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed; pip install '.[convert]'")
    archive = ROOT / ".cache" / "models" / recipe.load(RECIPE).archive().file
    if not archive.exists():
        pytest.skip(f"{archive.name} is not in .cache/models; `make models` fetches it")
    made = build.build(build.Given(RECIPE, archive, out=tmp_path)).path
    assert made.read_bytes() == MODEL.read_bytes()
    np.testing.assert_equal(json.loads(made.with_suffix(".json").read_bytes())["sha256"], recorded().sha256)
