"""A model file becomes something that runs, whoever made it, and says what it cannot be used for."""

import json
import shutil
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest

from agent import config, modelfile
from agent.cli.detect import read_image
from agent.data import Frame
from agent.detect.detector import Detector
from agent.detect.letterbox import Letterbox
from agent.detect.model import Model
from agent.modelfile import ModelError
from convert.tflite import graph
from tests.convert.tiny import Builder

SHIPPED = config.shipped(config.DEFAULT_MODEL)
FOREIGN = {
    "mobilenet_v1_0.25_128_quant": ("classify", "classify", 1001),
    "deeplabv3_mnv2_dm05_pascal_quant": ("segment", "segment", 1000),
    "ssd_mobilenet_v1_coco_uint8": ("detect", "ssd_postprocess", 90),
}


def seen(model: Model, image: np.ndarray) -> list[np.ndarray]:
    Letterbox(model.card.input, model.backend.inputs[0]).fill(model.backend.input, image)
    return model.backend.run()


@pytest.fixture
def bear(data_dir: Path) -> np.ndarray:
    return read_image(data_dir / "coco" / "evaluate" / "images" / "000000000285.jpg")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_maker_loads_as_it_is(data_dir: Path, name: str) -> None:
    model = Model(data_dir / "models" / f"{name}.tflite", threads=1)

    assert (model.card.task, model.card.head, len(model.card.labels)) == FOREIGN[name]


def test_a_real_classifier_knows_a_bear(data_dir: Path, bear: np.ndarray) -> None:
    model = Model(data_dir / "models" / "mobilenet_v1_0.25_128_quant.tflite", threads=1)

    scores = model.classifier().scores(seen(model, bear))

    assert model.card.labels[int(scores.argmax())] == "brown bear, bruin, Ursus arctos"
    assert scores.max() > 0.9
    assert scores.sum() == pytest.approx(1.0, abs=0.05)


def test_a_real_segmenter_parts_an_animal_from_the_background(data_dir: Path, bear: np.ndarray) -> None:
    """Pascal's labels have no bear: 0 is background, animals are 3, 8, 10, 12, 13 and 17."""
    model = Model(data_dir / "models" / "deeplabv3_mnv2_dm05_pascal_quant.tflite", threads=1)

    mask = model.segmenter().mask(seen(model, bear))

    assert mask.shape == (513, 513)
    assert set(np.unique(mask)) <= set(range(21))
    assert np.isin(mask[150:500, 60:450], (3, 8, 10, 12, 13, 17)).mean() > 0.8
    assert (mask[:40] == 0).mean() > 0.8


@pytest.mark.parametrize(
    ("method", "what"),
    [
        (lambda m: Detector(m), "boxes"),
        (lambda m: m.poses(0.5), "keypoints"),
        (lambda m: m.instances(0.5), "masks of single objects"),
        (lambda m: m.segmenter(), "a mask"),
        (lambda m: m.embedder(), "a vector"),
        (lambda m: m.reconstructor(), "a picture"),
    ],
    ids=["boxes", "keypoints", "masks", "mask", "vector", "picture"],
)
def test_a_classifier_says_in_one_line_what_it_does_not_give(data_dir: Path, method, what: str) -> None:
    path = data_dir / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    with pytest.raises(ModelError) as error:
        method(Model(path, threads=1))

    assert str(error.value) == (
        f"model {path}: its task is 'classify' (head 'classify'), which gives no {what}; name a model that does"
    )


def test_a_detector_is_no_classifier() -> None:
    with pytest.raises(ModelError, match=r"its task is 'detect' \(head 'ssd'\), which gives no scores of a whole"):
        Model(SHIPPED, threads=1).classifier()


def test_labels_of_a_carded_model_may_be_replaced(tmp_path: Path) -> None:
    names = Model(SHIPPED, threads=1).card.labels
    (tmp_path / "labels.txt").write_text("\n".join(["???", *(f"x{i}" for i in range(len(names)))]))

    model = Model(SHIPPED, threads=1, labels_file=tmp_path / "labels.txt")

    assert model.card.labels[:2] == ("x0", "x1")
    assert len(model.card.labels) == len(names)


def test_a_head_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    shutil.copy(SHIPPED, tmp_path / "m.tflite")
    file = modelfile.read(SHIPPED)
    assert file.card
    data = SHIPPED.read_bytes()
    with zipfile.ZipFile(SHIPPED) as archive:
        flat = data[: min(i.header_offset for i in archive.infolist())]
    (tmp_path / "m.tflite").write_bytes(modelfile.pack(flat, msgspec.structs.replace(file.card, head="dreams"))[0])

    with pytest.raises(ModelError, match="its card names the head 'dreams', there are: centernet, classify, "):
        Model(tmp_path / "m.tflite", threads=1).head(0.5)


def ultralytics_file(path: Path) -> Path:
    """One stride-16 convolution with the output and the metadata of an Ultralytics file: (1, 24, 4 + 2), 96 × 64 px."""
    rng, build = np.random.default_rng(0), Builder()
    image = build.tensor("images", (1, 64, 96, 3))
    weights = rng.normal(0, 0.02, (7, 16, 16, 3)).astype(np.float32)
    weights[:4] *= 0.1  # boxes that are boxes
    bias = np.array([0.5, 0.5, 0.3, 0.2, 0.5, 0.5, 0.5], np.float32)
    x = build.conv(image, "head", (1, 4, 6, 7), weights, bias, stride=16, relu6=False)
    build.graph.inputs, build.graph.outputs = [image], [build.reshape(x, "output0", (1, 24, 7))]
    path.write_bytes(graph.pack(build.model))
    meta = {"task": "detect", "imgsz": [64, 96], "names": {"0": "person", "1": "car", "2": "dog"}, "stride": 32}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", json.dumps(meta))
    return path


def test_an_ultralytics_file_runs_as_it_is(tmp_path: Path) -> None:
    model = Model(ultralytics_file(tmp_path / "best_float32.tflite"), threads=1)
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)

    raw = seen(model, image)[0][0].copy()
    found = model.head(0.5).decode([raw[None]])
    told = Detector(model, confidence=0.5).detect(Frame(image, 0, 0.0))

    assert model.card.labels == ("person", "car", "dog")
    best = raw[:, 4:].max(axis=1)
    assert 0 < len(found) == np.count_nonzero(best >= 0.5)
    top = raw[best.argmax()]
    cx, cy, w, h = top[:4] * [96, 64, 96, 64]
    np.testing.assert_allclose(found.xyxy[0], [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], rtol=1e-4)
    assert found.class_id[0] == top[4:].argmax()
    assert told.confidence[0] == pytest.approx(float(best.max()), abs=1e-5)
