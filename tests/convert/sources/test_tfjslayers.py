"""TensorFlow.js layers models: what Teachable Machine's first export format is, and what tfjs' model.save() writes."""

import json
import zipfile

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from convert import ConvertError, sources
from convert.sources import Request, recognition, tfjslayers
from tests.convert.sources.test_keras import needs_tensorflow

SIDE, CHANNELS, CLASSES = 8, 5, 3


def layer(kind, name, nodes=None, **config):
    """One entry of the config; `nodes` are the names that a functional model's layer takes."""
    entry = {"class_name": kind, "config": {"name": name, "trainable": True, **config}, "name": name}
    return entry if nodes is None else entry | {"inbound_nodes": [[[n, 0, 0, {}] for n in nodes]] if nodes else []}


def topology():
    """A functional trunk with a branch, inside a Sequential, before a second one: Teachable Machine's nesting."""
    initial = {"kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1, "mode": "fan_avg"}}}
    trunk = {
        "name": "model1",
        "layers": [
            layer("InputLayer", "input_1", [], batch_input_shape=[None, SIDE, SIDE, 3], dtype="float32"),
            layer("Conv2D", "pw", ["input_1"], filters=CHANNELS, kernel_size=[1, 1], use_bias=False, **initial),
            layer("BatchNormalization", "bn", ["pw"], axis=-1, epsilon=0.001),
            layer("ReLU", "relu", ["bn"], max_value=6),
            layer("DepthwiseConv2D", "dw", ["relu"], kernel_size=[1, 1], use_bias=False, depthwise_constraint=None),
            layer("Add", "both", ["relu", "dw"]),
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["both", 0, 0]],
    }
    pool = layer("GlobalAveragePooling2D", "pool", data_format="channels_last")
    dense = layer("Dense", "dense", units=CLASSES, activation="softmax", batch_input_shape=[None, CHANNELS])
    inner = [{"class_name": "Model", "config": trunk}, pool]
    outer = [{"class_name": "Sequential", "config": {"layers": part}} for part in (inner, [dense])]
    return {"class_name": "Sequential", "config": {"layers": outer}, "keras_version": "tfjs-layers 1.3.1"}


def weights():
    rng = np.random.default_rng(1)
    shapes = {
        "pw/kernel": (1, 1, 3, CHANNELS), "bn/gamma": (CHANNELS,), "bn/beta": (CHANNELS,),
        "dw/depthwise_kernel": (1, 1, CHANNELS, 1), "dense/kernel": (CHANNELS, CLASSES), "dense/bias": (CLASSES,),
        "bn/moving_mean": (CHANNELS,), "bn/moving_variance": (CHANNELS,),
    }  # fmt: skip
    return {name: np.abs(rng.normal(0.5, 0.3, shape)).astype(np.float32) + 0.1 for name, shape in shapes.items()}


def files(model=None, drop=0):
    """model.json, weights.bin (without its last bytes) and metadata.json."""
    values = weights()
    manifest = [{"name": name, "shape": list(v.shape), "dtype": "float32"} for name, v in values.items()]
    described = {
        "modelTopology": model or topology(),
        "weightsManifest": [{"paths": ["./weights.bin"], "weights": manifest}],
    }
    data = b"".join(v.tobytes() for v in values.values())
    return {
        "model.json": json.dumps(described).encode(),
        "weights.bin": data[: len(data) - drop],
        "metadata.json": b'{"labels": ["cat", "dog", "none"], "imageSize": 8}',
    }


def zipped(path, **changes):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files(**changes).items():
            archive.writestr(name, data)
    return path


def by_hand(picture):
    """The probabilities, layer by layer."""
    w = weights()
    x = picture @ w["pw/kernel"][0, 0]
    x = (x - w["bn/moving_mean"]) / np.sqrt(w["bn/moving_variance"] + 0.001) * w["bn/gamma"] + w["bn/beta"]
    x = np.clip(x, 0, 6)
    x = x + x * w["dw/depthwise_kernel"][0, 0, :, 0]
    logits = x.mean(axis=(0, 1)) @ w["dense/kernel"] + w["dense/bias"]
    return np.exp(logits) / np.exp(logits).sum()


@needs_tensorflow
def test_teachable_machines_first_format_answers_as_worked_out_by_hand(tmp_path):
    found = sources.read(Request(zipped(tmp_path / "tm-my-image-model.zip")))
    assert (found.card.task, found.card.labels) == ("classify", ("cat", "dog", "none"))
    assert (found.card.input.size, found.card.input.range) == ((SIDE, SIDE), (-1, 1))
    picture = np.random.default_rng(2).uniform(-1, 1, (SIDE, SIDE, 3)).astype(np.float32)
    logits = Interpreter(model_content=found.model).get_signature_runner()(image=picture[None])["logit"][0]
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), by_hand(picture), atol=1e-5)


def test_a_model_of_layers_is_known_from_a_graph(tmp_path):
    for name, data in files().items():
        (tmp_path / name).write_bytes(data)
    assert recognition.kind(tmp_path) == recognition.kind(tmp_path / "model.json") == "tfjslayers"
    (tmp_path / "model.json").write_text('{"modelTopology": {"node": []}, "weightsManifest": []}')
    assert recognition.kind(tmp_path) == recognition.kind(tmp_path / "model.json") == "tfjs"


def test_layers_that_are_code_are_refused_before_tensorflow(tmp_path):
    code = {"class_name": "Sequential", "config": {"layers": [layer("Lambda", "l", function="print(1)")]}}
    with pytest.raises(ConvertError, match=r"a\.zip: has a Lambda, which is code"):
        sources.read(Request(zipped(tmp_path / "a.zip", model=code)))


def test_weights_that_are_cut_short_are_refused_before_tensorflow(tmp_path):
    with pytest.raises(ConvertError, match=r"a\.zip: its model\.json and shards do not fit each other .*export it"):
        sources.read(Request(zipped(tmp_path / "a.zip", drop=4)))


def test_a_folder_without_its_weights_is_refused(tmp_path):
    (tmp_path / "model.json").write_bytes(files()["model.json"])
    with pytest.raises(ConvertError, match=r"shards do not fit each other \(FileNotFoundError"):
        sources.read(Request(tmp_path))


@pytest.mark.parametrize("config", [{"layers": []}, {}])
def test_a_shape_that_nothing_tells_is_refused(config, tmp_path):
    shapeless = {"modelTopology": {"class_name": "Sequential", "config": config}, "weightsManifest": []}
    with pytest.raises(ConvertError, match="does not tell the shape of its input"):
        tfjslayers.read(shapeless, bytes, tmp_path)
