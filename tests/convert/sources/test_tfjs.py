"""A TF.js graph model written by hand, read back, and converted by TensorFlow where there is one."""

import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest

from convert import ConvertError
from convert.process import environment
from convert.sources import get, tfjs
from convert.tflite import graph

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None and not os.environ.get("LOOKOUT_TENSORFLOW"),
    reason="TensorFlow is not installed; pip install '.[tensorflow]', or LOOKOUT_TENSORFLOW=a Python that has it",
)
SIZE = (6, 4)
OPTIONS = tfjs.Options("web/model.json", "scaled", {"logit": "head", "box": "sum"}, {"anchors": "anchors"})


def s(value):
    return {"s": list(value.encode())}


def conv(name, op, inputs, *fused):
    attr = {
        "T": {"type": 1},
        "strides": {"list": {"i": ["1", "1", "1", "1"]}},
        "padding": s("SAME"),
        "data_format": s("NHWC"),
    }
    return {
        "name": name,
        "op": op,
        "input": inputs,
        "attr": attr | {"fused_ops": {"list": {"s": [list(f.encode()) for f in fused]}}},
    }


def constant(name, dtype=1):
    value = {"tensor": {"dtype": dtype, "tensorShape": {"dim": []}, "floatVal": []}}
    return {"name": name, "op": "Const", "input": [], "attr": {"dtype": {"type": dtype}, "value": value}}


def weights():
    rng = np.random.default_rng(3)
    return {
        "w1": rng.normal(size=(3, 3, 3, 2)).astype(np.float32),
        "b1": np.array([0.5, -0.5], np.float32),
        "w2": rng.normal(size=(1, 1, 2, 2)).astype(np.float32),
        "w3": rng.normal(size=(1, 1, 2, 2)).astype(np.float32),
        "c": np.array([3.0, 4.0], np.float32),
        "anchors": np.arange(8, dtype=np.float32).reshape(1, 2, 4),
    }


def model(shards=2):
    """model.json and its shards, by their names."""
    f = {"T": {"type": 1}}
    nodes = [
        {"name": "raw", "op": "Placeholder", "input": [], "attr": {"dtype": {"type": 4}}},
        {"name": "scaled", "op": "Cast", "input": ["raw"], "attr": {}},
        *map(constant, weights()),
        conv("features", "_FusedConv2D", ["scaled", "w1", "b1"], "BiasAdd", "Relu6"),
        conv("head", "Conv2D", ["features", "w2"]),
        conv("tail", "Conv2D", ["features", "w3"]),
        {"name": "inner", "op": "AddN", "input": ["tail", "features"], "attr": f | {"N": {"i": "2"}}},
        {"name": "sum", "op": "Add", "input": ["inner", "c"], "attr": f},
        {"name": "late", "op": "Sigmoid", "input": ["head"], "attr": f},
    ]
    data = b"".join(a.tobytes() for a in weights().values())
    step = -(-len(data) // shards)
    parts = {f"web/group1-shard{i + 1}": data[i * step : (i + 1) * step] for i in range(shards)}
    manifest = [{"name": n, "shape": list(a.shape), "dtype": "float32"} for n, a in weights().items()]
    description = {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": [p.removeprefix("web/") for p in parts], "weights": manifest}],
    }
    return {"web/model.json": json.dumps(description).encode()} | parts


def archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_an_archive_and_a_folder_read_the_same(tmp_path):
    for name, data in model().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    nodes, read = tfjs.load(archive(tmp_path / "a.tgz", model()), "web/model.json")
    assert tfjs.load(tmp_path, "web/model.json")[0] == nodes
    for name, array in weights().items():
        np.testing.assert_array_equal(read[name], array)


def test_weights_made_smaller_are_restored():
    manifest = [
        {"name": "a", "shape": [3], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}},
        {"name": "b", "shape": [], "dtype": "int32"},
        {"name": "c", "shape": [2], "dtype": "bool"},
        {"name": "d", "shape": [1], "dtype": "float32", "quantization": {"dtype": "float16"}},
    ]
    data = bytes([0, 2, 255]) + np.int32(-7).tobytes() + bytes([0, 1]) + np.float16(1.5).tobytes()
    read = tfjs.read_weights(manifest, data)
    np.testing.assert_allclose(read["a"], [-1.0, 0.0, 126.5])
    assert read["b"] == -7
    assert read["b"].shape == ()
    assert read["c"].tolist() == [False, True]
    assert read["d"].dtype == np.float32
    assert read["d"][0] == 1.5


def without(files, name):
    return {n: d for n, d in files.items() if n != name}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"a\.tgz: has no file web/model\.json"),
        ({"web/model.json": b"{}"}, r"a\.tgz: web/model\.json is not a TF\.js graph model \(KeyError"),
        ({"web/model.json": b"<html>"}, r"is not a TF\.js graph model"),
        (without(model(), "web/group1-shard2"), r"has no file web/group1-shard2"),
        (model() | {"web/group1-shard2": b""}, r"is not a TF\.js graph model \(ValueError"),
    ],
    ids=["empty", "other json", "html", "shard missing", "shard cut short"],
)
def test_what_is_not_a_model_is_one_line(tmp_path, files, message):
    with pytest.raises(ConvertError, match=message) as caught:
        tfjs.load(archive(tmp_path / "a.tgz", files), "web/model.json")
    assert "\n" not in str(caught.value)


def test_what_is_not_an_archive_is_one_line(tmp_path):
    (tmp_path / "a.tgz").write_bytes(b"no archive")
    with pytest.raises(ConvertError, match=r"a\.tgz"):
        tfjs.load(tmp_path / "a.tgz", "web/model.json")


def test_front_ends_are_found_by_name():
    assert get("tfjs") is tfjs
    with pytest.raises(ConvertError, match=r"source kind 'caffe' is not known; there are: .*tfjs"):
        get("caffe")


def test_the_parent_never_imports_tensorflow():
    code = "import sys, convert.build, convert.sources.tfjs; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_tensorflow_an_environment_is_made_for_it(tmp_path, monkeypatch):
    def none_here(recipe):
        raise ConvertError(f"could not set up {recipe.name}")

    monkeypatch.delenv("LOOKOUT_TENSORFLOW", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(environment, "made", none_here)
    with pytest.raises(ConvertError, match=r"could not set up tensorflow-2\.21\.0"):
        tfjs.read(OPTIONS, archive(tmp_path / "a.tgz", model()), SIZE)


def naive(image):
    """The hand-made graph in numpy: logit (1, 4, 6, 2), box (1, 4, 6, 2)."""
    w = weights()
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((4, 6, 2))
    for y in range(4):
        for x in range(6):
            out[y, x] = np.tensordot(padded[y : y + 3, x : x + 3], w["w1"], 3) + w["b1"]
    features = np.clip(out, 0, 6)
    return features @ w["w2"][0, 0], features @ w["w3"][0, 0] + features + w["c"]


@needs_tensorflow
def test_the_converted_graph_computes_what_the_json_says(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    found = tfjs.read(OPTIONS, archive(tmp_path / "a.tgz", model()), SIZE)
    g = graph.read(found.model)
    assert set(g.inputs) == {"image"}
    assert set(g.outputs) == {"logit", "box"}
    assert "tensorflow" in found.tools
    np.testing.assert_array_equal(found.constants["anchors"], weights()["anchors"])
    assert sum(o.name == "ADD" for o in g.operators) == 1  # the constant went into the convolution
    interpreter = Interpreter(model_content=found.model)
    image = np.random.default_rng(0).normal(size=(1, 4, 6, 3)).astype(np.float32)
    answer = interpreter.get_signature_runner()(image=image)
    logit, box = naive(image)
    np.testing.assert_allclose(answer["logit"][0], logit, atol=1e-4)
    np.testing.assert_allclose(answer["box"][0], box, atol=1e-4)


@needs_tensorflow
def test_a_graph_that_tensorflow_refuses_is_one_line(tmp_path):
    files = model()
    files["web/model.json"] = files["web/model.json"].replace(b'"op": "Sigmoid"', b'"op": "NoSuchOp"')
    options = tfjs.Options("web/model.json", "scaled", {"late": "late"})
    with pytest.raises(ConvertError, match=r"a\.tgz: TensorFlow failed with exit code 1: .*NoSuchOp") as caught:
        tfjs.read(options, archive(tmp_path / "a.tgz", files), SIZE)
    assert "\n" not in str(caught.value)


def test_a_constant_that_is_not_there_is_named(tmp_path):
    options = tfjs.Options("web/model.json", "scaled", {"head": "head"}, {"anchors": "no such"})
    with pytest.raises(ConvertError, match="no constant 'no such' in its graph, wanted as anchors"):
        tfjs.read(options, archive(tmp_path / "a.tgz", model()), SIZE)
