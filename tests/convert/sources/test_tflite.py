"""Float and ready int8 TFLite files, and the ZIPs that they come in."""

import zipfile

import numpy as np
import pytest

from convert import ConvertError, sources
from convert.int8 import quantize
from convert.sources import Request, answers, recognition
from convert.tflite import finalise, graph
from tests.convert import tiny


def ending(operator, shape=(1, 6), channels=6):
    """A small float network, (1, 32, 48, 3) to `shape`, that ends in an operator."""
    rng, build = np.random.default_rng(2), tiny.Builder()
    image = build.tensor("serving_image", (1, 32, 48, 3))
    weights = rng.normal(0, 0.3, (channels, 32, 48, 3)).astype(np.float32)
    options = tiny.schema.Conv2DOptionsT()
    options.padding, options.strideW, options.strideH = tiny.schema.Padding.VALID, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    out = build.tensor("conv", (1, 1, 1, channels))
    bias = build.tensor("bias", (channels,), rng.normal(0, 1, channels).astype(np.float32))
    build.operator("CONV_2D", [image, build.tensor("weights", weights.shape, weights), bias], [out], options)
    last = build.reshape(out, "flat", shape)
    if operator:
        end = build.tensor("Identity", shape)
        softmax = tiny.schema.SoftmaxOptionsT()
        softmax.beta = 1.0
        build.operator(operator, [last], [end], softmax if operator == "SOFTMAX" else None)
        last = end
    build.graph.inputs, build.graph.outputs = [image], [last]
    return graph.pack(build.model)


def saved(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("operator", "decode"), [("SOFTMAX", {}), ("LOGISTIC", {"activation": "sigmoid"})])
def test_a_classifier_is_cut_before_its_last_operator(tmp_path, operator, decode):
    found = sources.read(Request(saved(tmp_path / "c.tflite", ending(operator)), labels=tuple("abcdef")))
    assert (found.card.task, found.card.head, found.card.labels) == ("classify", "classify", tuple("abcdef"))
    assert [(o.name, o.role, o.shape) for o in found.card.outputs] == [("logit", "logit", (1, 6))]
    assert found.card.decode == decode
    known = graph.read(found.model)
    assert set(known.inputs) == {"image"}
    assert operator not in {o.name for o in known.operators}


def test_a_range_that_nobody_told_is_noted_and_can_be_told(tmp_path):
    path = saved(tmp_path / "c.tflite", ending("SOFTMAX"))
    assert any("pixels stand for 0 to 1 (a guess" in note for note in sources.read(Request(path)).notes)
    (tmp_path / "input.toml").write_text("input = { range = [0.0, 255.0] }")
    told = sources.read(Request(path, head=str(tmp_path / "input.toml"), labels=tuple("abcdef")))
    assert told.card.input.range == (0, 255)
    assert told.notes == ()


def test_a_vector_is_an_embedding_where_the_user_says_so(tmp_path):
    found = sources.read(Request(saved(tmp_path / "e.tflite", ending("")), task="embed"))
    assert (found.card.task, found.card.outputs[0].role, found.card.labels) == ("embed", "vector", ())


def test_labels_or_a_picture_is_the_users_word(tmp_path):
    path = saved(tmp_path / "p.tflite", ending("LOGISTIC", (1, 32, 48, 3), 32 * 48 * 3))
    with pytest.raises(ConvertError, match="may be labels or a picture; say --task segment or reconstruct"):
        sources.read(Request(path))
    drawn = sources.read(Request(path, task="reconstruct"))
    assert [(o.name, o.role) for o in drawn.card.outputs] == [("drawn", "image")]
    assert drawn.card.head == "reconstruct"
    assert "LOGISTIC" in {o.name for o in graph.read(drawn.model).operators}  # the picture is what comes after it
    assert sources.read(Request(path, task="segment")).card.outputs[0].role == "logit"


def test_a_detector_is_told_by_a_description(tmp_path):
    (tmp_path / "head.toml").write_text(
        'head = "ssd"\ntask = "detect"\nlabels = ["person", "car", "dog"]\n'
        "input = { range = [-1.0, 1.0], resize = 'stretch' }\n"
        "decode = { columns = [1, 2, 3], anchors = { grids = [[6, 4]] } }\n"
        '[[outputs]]\ntensor = "Identity"\nrole = "box"\n[[outputs]]\ntensor = "Identity_1"\nrole = "logit"\n'
    )
    found = sources.read(Request(saved(tmp_path / "d.tflite", tiny.flatbuffer()), head=str(tmp_path / "head.toml")))
    assert [(o.name, o.shape) for o in found.card.outputs] == [("box", (1, 72, 4)), ("logit", (1, 72, 4))]
    assert found.card.input.range == (-1, 1)
    assert found.card.labels == ("person", "car", "dog")


def heat_map(path):
    """A float CenterNet of one convolution an output, its heat after the sigmoid; and a head that calls it `score`."""
    rng, build = np.random.default_rng(3), tiny.Builder()
    image = build.tensor("serving_image", (1, 32, 48, 3))
    heat, size = (
        build.conv(image, name, (1, 4, 6, c), rng.normal(0, 0.3, (c, 8, 8, 3)).astype(np.float32),
                   np.zeros(c, np.float32), stride=8, relu6=False)
        for name, c in (("raw", 3), ("wh", 2))
    )  # fmt: skip
    end = build.tensor("heat", (1, 4, 6, 3))
    build.operator("LOGISTIC", [heat], [end])
    build.graph.inputs, build.graph.outputs = [image], [end, size]
    return saved(path, graph.pack(build.model))


@pytest.mark.parametrize(("score", "sigmoids"), [("logit", 0), ("probability", 1)])
def test_what_is_told_to_be_a_logit_is_cut_before_its_sigmoid(tmp_path, score, sigmoids):
    (tmp_path / "head.toml").write_text(
        f'head = "centernet"\ntask = "detect"\nlabels = ["a", "b", "c"]\ndecode = {{ score = "{score}" }}\n'
        '[[outputs]]\ntensor = "heat"\nrole = "heat"\nstride = 8\n'
        '[[outputs]]\ntensor = "wh"\nrole = "size"\nstride = 8\n'
    )
    found = sources.read(Request(heat_map(tmp_path / "c.tflite"), head=str(tmp_path / "head.toml")))
    assert [(o.name, o.shape) for o in found.card.outputs] == [("heat_8", (1, 4, 6, 3)), ("size_8", (1, 4, 6, 2))]
    known = graph.read(found.model)
    assert [o.name for o in known.operators].count("LOGISTIC") == sigmoids
    assert {name: known.tensors[i].shape for name, i in known.outputs.items()}["heat_8"] == (1, 4, 6, 3)
    assert any("cut before" in note for note in found.notes) == (not sigmoids)


def test_an_int8_file_is_ready_and_keeps_its_bytes(tmp_path):
    model = answers.without_last(ending("SOFTMAX"))[0]
    model = finalise.tidy(model, {"serving_image": "image"}, {"flat": "flat"})
    small = quantize.static_int8(model, dict.fromkeys(graph.read(model).activations(), (-3.0, 3.0)))
    with zipfile.ZipFile(saved(tmp_path / "q.tflite", small), "a") as file:
        file.writestr("notes.txt", "x")
    found = sources.read(Request(tmp_path / "q.tflite", labels=tuple("abcdef")))
    assert found.ready
    assert found.model == small
    assert (found.card.task, found.card.labels) == ("classify", tuple("abcdef"))


@pytest.mark.parametrize(
    ("name", "task", "head"),
    [
        ("mobilenet_v1_0.25_128_quant", "classify", "classify"),
        ("deeplabv3_mnv2_dm05_pascal_quant", "segment", "segment"),
        ("ssd_mobilenet_v1_coco_uint8", "detect", "ssd_postprocess"),
    ],
)
def test_ready_files_of_other_makers_get_a_card(data_dir, name, task, head):
    found = sources.read(Request(data_dir / "models" / f"{name}.tflite"))
    assert (found.ready, found.card.task, found.card.head) == (True, task, head)
    assert found.card.source["file"] == f"{name}.tflite"


def test_a_teachable_machine_zip_is_read_with_its_labels(tmp_path):
    path = tmp_path / "converted_tflite.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model_unquant.tflite", ending("SOFTMAX", channels=2, shape=(1, 2)))
        file.writestr("labels.txt", "0 with mask\n1 without\n")
    assert recognition.kind(path) == "teachable"
    found = sources.read(Request(path))
    assert found.card.labels == ("with mask", "without")
    assert found.card.input.range == (-1, 1)
    assert found.card.source["file"] == "converted_tflite.zip"
