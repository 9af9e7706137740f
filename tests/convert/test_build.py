"""From a source to a model file, all steps but TensorFlow's: the front end here hands on a tiny float model."""

import hashlib
import json
from types import SimpleNamespace

import cv2
import msgspec
import numpy as np
import pytest

from agent import modelfile
from agent.data import Frame, LookoutError
from agent.detect.detector import Detector
from agent.detect.heads.ssd import Decode, anchors_cxcywh
from agent.detect.model import Model
from convert import ConvertError, build, sources
from convert.build import Given
from convert.int8 import calibration
from convert.tflite import graph
from tests.convert import tiny

RECIPE = """
name = "tiny_int8"
[source]
kind = "hand"
file = "tiny.bin"
sha256 = "{sha256}"
origin = "cp tiny.bin"
outputs = {{ box = "Identity", logit = "Identity_1" }}
[card]
task = "detect"
head = "ssd"
labels = ["person", "car", "dog"]
licence = "CC0-1.0"
iou = 0.5
[card.input]
size = [48, 32]
range = [-1.0, 1.0]
resize = "stretch"
[card.decode]
columns = [1, 2, 3]
anchors = {{ grids = [[6, 4]] }}
[calibrate]
images = 8
rules = ["minmax", "mse", "percentile-99.9"]
[accept]
budget = {budget}
"""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outputs: dict[str, str]


def anchors():
    """As a graph keeps them: (1, N, 4) ymin, xmin, ymax, xmax, 0..1."""
    a = anchors_cxcywh(msgspec.convert(tiny.DECODE, Decode).anchors, tiny.SIZE)
    yxyx = np.stack([a[:, 1] - a[:, 3] / 2, a[:, 0] - a[:, 2] / 2, a[:, 1] + a[:, 3] / 2, a[:, 0] + a[:, 2] / 2], 1)
    return (yxyx / np.array([32, 48, 32, 48]))[None].astype(np.float32)


def named(flatbuffer):
    """With a signature, as a front end has to hand it on."""
    from convert.tflite import finalise

    return finalise.tidy(flatbuffer, {"serving_default_image:0": "input"}, tiny.OUTPUTS)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with recipe, source and pictures; `.write` writes the recipe anew."""
    here = SimpleNamespace(
        folder=tmp_path, model=named(tiny.flatbuffer()), constants={"anchors": anchors()}, tools={"hand": "1"}
    )
    front_end = SimpleNamespace(
        Options=Options, read=lambda options, archive, size: sources.Cut(here.model, here.constants, here.tools)
    )
    monkeypatch.setattr(sources, "get", lambda kind: front_end)
    (tmp_path / "tiny.bin").write_bytes(b"weights")
    rng = np.random.default_rng(5)
    (tmp_path / "pictures" / "images").mkdir(parents=True)
    (tmp_path / "pictures" / "labels").mkdir()
    for i in range(24):
        blocks = rng.integers(0, 256, (4, 6, 3), np.uint8)
        picture = cv2.resize(blocks, (90, 70), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(tmp_path / "pictures" / "images" / f"{i}.png"), picture)
        (tmp_path / "pictures" / "labels" / f"{i}.txt").write_text("0 0.5 0.5 0.5 0.5\n")

    def write(budget=1.0, old="", new=""):
        sha256 = hashlib.sha256(b"weights").hexdigest()
        text = RECIPE.format(budget=budget, sha256=sha256)
        (tmp_path / "tiny.recipe.toml").write_text(text.replace(old, new) if old else text)

    def given(**changes):
        return Given(**({"recipe": tmp_path / "tiny.recipe.toml", "source": tmp_path / "tiny.bin"} | changes))

    here.write, here.given, here.pictures = write, given, tmp_path / "pictures"
    write()
    return here


@pytest.fixture
def made(place):
    path = build.build(place.given(calibrate=place.pictures, evaluate=place.pictures)).path
    return SimpleNamespace(path=path, place=place)


def test_what_is_built_is_an_int8_model_that_the_agent_runs(made):
    model = Model(made.path)
    assert graph.float_operators(graph.read(made.path.read_bytes())) == []
    assert (model.backend.inputs[0].name, model.backend.inputs[0].dtype) == ("image", "int8")
    assert model.card.quant.scheme == "int8"
    assert model.card.source["tools"].keys() == {"hand", "ai-edge-quantizer", "ai-edge-litert"}
    picture = cv2.imread(str(made.place.pictures / "images" / "3.png"))[:, :, ::-1]
    found = Detector(model, confidence=0.2).detect(Frame(np.ascontiguousarray(picture), 0, 0.0))
    assert len(found) > 0


def test_the_sidecar_is_the_metadata_inside(made):
    import zipfile

    with zipfile.ZipFile(made.path) as archive:
        assert archive.read("metadata.json") == made.path.with_suffix(".json").read_bytes()
        report = json.loads(archive.read("report.json"))
    assert report == json.loads((made.place.folder / "tiny.ranges.json").read_bytes())["report"]


def test_the_report_says_what_each_rule_scored_and_the_best_was_taken(made):
    report = modelfile.read(made.path).report
    scores = {c["ranges"]: c["f1"] * c["mean_iou"] for c in report["candidates"]}
    assert set(scores) == {"minmax", "mse", "percentile-99.9"}
    assert scores[modelfile.read(made.path).card.quant.ranges] == max(scores.values())
    order = calibration.shuffle(calibration.pictures(made.place.pictures))
    assert report["agreement"]["sha256"] == calibration.checksum(order[8:])  # not on what it was calibrated with
    assert modelfile.read(made.path).card.quant.calibration == calibration.identity(order[:8])
    assert report["agreement"]["objects"] > 0
    assert set(report["accuracy"]) >= {"float32", "int8", "int8 boxes, float scores", "float boxes, int8 scores"}


def test_a_rebuild_from_the_ranges_needs_no_pictures_and_gives_the_same_bytes(made):
    again = build.build(made.place.given(out=made.place.folder / "again")).path
    assert again.read_bytes() == made.path.read_bytes()
    assert again.with_suffix(".json").read_bytes() == made.path.with_suffix(".json").read_bytes()


def test_ranges_found_anew_are_the_same(made):
    before = (made.place.folder / "tiny.ranges.json").read_bytes()
    build.build(made.place.given(calibrate=made.place.pictures, evaluate=made.place.pictures))
    assert (made.place.folder / "tiny.ranges.json").read_bytes() == before


def test_a_rebuild_that_differs_from_what_was_measured_is_refused(made):
    made.place.model, made.place.tools = named(tiny.flatbuffer(seed=1)), {"hand": "2"}
    before = made.path.read_bytes()
    with pytest.raises(ConvertError, match=r"tiny\.ranges\.json was measured on .* made with hand 1.*; here is hand 2"):
        build.build(made.place.given())
    assert made.path.read_bytes() == before


def test_a_rebuild_that_differs_by_the_same_tools_says_so(made):
    made.place.model = named(tiny.flatbuffer(seed=1))
    with pytest.raises(
        ConvertError, match="the same tools, so another kind of CPU rounds otherwise: copy the file, or"
    ):
        build.build(made.place.given())


def test_a_model_that_lost_too_much_goes_by_another_name(place):
    place.write(budget=-1.0)
    outcome = build.build(place.given(calibrate=place.pictures, evaluate=place.pictures))
    assert not outcome.verdict.kept
    assert outcome.path.name == "tiny_int8.rejected.tflite"
    assert modelfile.read(outcome.path).report["verdict"]["within"] is False
    made = {p.name for p in place.folder.iterdir() if p.is_file()}
    assert made == {"tiny.bin", "tiny.recipe.toml", "tiny_int8.rejected.tflite", "tiny_int8.rejected.json"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("columns = [1, 2, 3]", "columns = [1, 2, 4]", r"decode\.columns must lie in 0\.\.3"),
        ("columns = [1, 2, 3]", "columns = [1, 2]", "3 labels but 2 decode.columns"),
        ("grids = [[6, 4]]", "grids = 6", r"recipe: card\.decode: Expected `array`, got `int`"),
        ('head = "ssd"', 'head = "none"', "model card: head has no 'none'; there are: .*ssd"),
    ],
)
def test_a_card_that_the_agent_would_refuse_is_refused_here(made, old, new, message):
    made.place.write(old=old, new=new)
    made.path.unlink()
    with pytest.raises(LookoutError, match=message) as caught:
        build.build(made.place.given())
    assert "\n" not in str(caught.value)
    assert not made.path.exists()


def test_anchors_that_are_not_the_graphs_are_refused(place):
    place.constants = {"anchors": anchors() + np.float32(0.001)}
    with pytest.raises(ConvertError, match=r"anchors: the card's are up to 0\.048 px off the graph's"):
        build.build(place.given(calibrate=place.pictures))
    place.constants = {"anchors": anchors()[:, :-1]}
    with pytest.raises(ConvertError, match="anchors: the card makes 72, the graph has 71"):
        build.build(place.given(calibrate=place.pictures))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": None}, r"source tiny\.bin: not given; `cp tiny\.bin` fetches it, --source names it"),
        ({"source": "no such file"}, "no such file is not there"),
        ({"calibrate": None}, r"tiny\.ranges\.json: No such file or directory; find them with --calibrate DIR"),
        ({"calibrate": "few"}, "images .*: 5 readable; some calibrate and others must score: give 8 or more"),
        ({"calibrate": "empty"}, "there are none"),
    ],
)
def test_what_is_missing_is_named(place, change, message):
    few = place.folder / "few"
    few.mkdir()
    (place.folder / "empty").mkdir()
    for picture in sorted((place.pictures / "images").iterdir())[:5]:
        (few / picture.name).write_bytes(picture.read_bytes())
    paths = {key: value and place.folder / value for key, value in change.items()}
    with pytest.raises(ConvertError, match=message):
        build.build(place.given(**({"calibrate": place.pictures} | paths)))


def test_another_source_than_the_recipes_is_refused(place):
    (place.folder / "tiny.bin").write_bytes(b"other weights")
    with pytest.raises(ConvertError, match="not the file the recipe means"):
        build.build(place.given(calibrate=place.pictures))
