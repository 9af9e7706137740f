"""From an ONNX file to float TFLite with its card, through onnx2tf where its environment has been made here."""

import subprocess
import sys

import cv2
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from agent.detect.letterbox import Letterbox
from agent.modelfile import Tensor
from convert import ConvertError, sources
from convert.process import environment
from convert.sources import Request
from tests.convert.sources import graphs

needs_onnx2tf = pytest.mark.skipif(
    not environment.is_made(environment.ONNX2TF),
    reason="onnx2tf's environment is not made here; converting any ONNX file makes it",
)


def answers(model, picture):
    """{output: value} of a TFLite for a picture (h, w, 3) in the model's own range."""
    runner = Interpreter(model_content=model).get_signature_runner()
    return runner(image=picture[None])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@needs_onnx2tf
def test_a_small_yolo_comes_out_with_its_card(tmp_path):
    metadata = {"names": "{0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e'}", "license": "MIT"}
    file = graphs.saved(tmp_path / "v8.onnx", graphs.v8(), metadata=metadata)
    found = sources.read(Request(file))
    card = found.card
    assert (card.task, card.head, card.labels, card.licence) == ("detect", "yolo", ("a", "b", "c", "d", "e"), "MIT")
    assert (card.input.size, card.input.range, card.input.color, card.input.align) == (
        (96, 64),
        (0, 1),
        "RGB",
        "center",
    )
    assert [(o.name, o.shape, o.stride) for o in card.outputs[:2]] == [
        ("box_8", (1, 8, 12, 16), 8), ("logit_8", (1, 8, 12, 5), 8),
    ]  # fmt: skip
    assert not found.ready
    assert found.tools["onnx2tf"]
    picture = np.random.default_rng(3).uniform(0, 1, (64, 96, 3)).astype(np.float32)
    whole = onnxruntime.InferenceSession(str(file)).run(None, {"image": picture.transpose(2, 0, 1)[None]})[0]
    given = answers(found.model, picture)
    scores = np.concatenate([given[f"logit_{s}"].reshape(-1, 5) for s in graphs.STRIDES])
    np.testing.assert_allclose(sigmoid(scores), whole[0, 4:].T, atol=1e-4)


@needs_onnx2tf
def test_labels_that_do_not_match_are_refused(tmp_path):
    file = graphs.saved(tmp_path / "x.onnx", graphs.yolox())
    with pytest.raises(ConvertError, match=r"x\.onnx: --labels has 2 names, the model tells 5 classes apart"):
        sources.read(Request(file, labels=("a", "b")))


@needs_onnx2tf
def test_what_the_user_knows_of_the_input_goes_into_the_card(tmp_path):
    file = graphs.saved(tmp_path / "x.onnx", graphs.yolox())
    (tmp_path / "input.toml").write_text('input = { range = [-1.0, 1.0], color = "RGB" }')
    found = sources.read(Request(file, head=str(tmp_path / "input.toml"), labels=tuple("abcde")))
    assert (found.card.input.range, found.card.input.color) == ((-1, 1), "RGB")
    assert found.card.input.align == "top-left"  # of which nothing was said


@needs_onnx2tf
def test_the_cut_yolox_answers_as_the_whole_on_pictures(data_dir):
    file = data_dir / "models" / "yolox_nano.onnx"
    found = sources.read(Request(file))
    assert "COCO" in found.notes[0]
    session = onnxruntime.InferenceSession(str(file))
    letterbox = Letterbox(found.card.input, Tensor("image", (1, 416, 416, 3), "float32"))
    for path in sorted((data_dir / "coco" / "evaluate" / "images").glob("*.jpg"))[:5]:
        image = np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])
        view = np.zeros((1, 416, 416, 3), np.float32)
        letterbox.fill(view, image)
        picture = view[0]
        whole = session.run(None, {"images": picture.transpose(2, 0, 1)[None]})[0][0]
        given = answers(found.model, picture)
        rows = [
            np.concatenate(
                [given[f"box_{s}"], sigmoid(given[f"objectness_{s}"]), sigmoid(given[f"logit_{s}"])], 3
            ).reshape(-1, 85)
            for s in (8, 16, 32)
        ]
        np.testing.assert_allclose(np.concatenate(rows), whole, atol=2e-3)


def test_a_checkpoint_goes_through_the_users_own_ultralytics(tmp_path, monkeypatch):
    """A stand-in for the user's Python: what it is asked to run must write model.onnx into the work folder."""
    from convert.sources import onnx, ultralytics
    from tests.convert.test_bad_inputs import called

    asked = []
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nprintf \'%s \' "$4" "$5" > {tmp_path}/asked\n: > model.onnx\n')
    fake.chmod(0o755)
    monkeypatch.setenv("LOOKOUT_ULTRALYTICS", str(fake))
    (tmp_path / "best.pt").write_bytes(called("ultralytics.nn.tasks", "DetectionModel"))
    monkeypatch.setattr(onnx, "float_model", lambda request: asked.append(request) or stand_in())

    def stand_in():
        from convert.sources import FloatModel
        from tests.convert import tiny

        return FloatModel(b"", tiny.CARD)

    found = ultralytics.float_model(Request(tmp_path / "best.pt", size=(96, 64), trust=True))
    assert (tmp_path / "asked").read_text() == "64 96 "
    assert asked[0].path.name == "model.onnx"
    assert found.card.source["file"] == "best.pt"


def test_importing_a_front_end_brings_no_framework():
    code = (
        "import sys; from convert.sources import keras, onnx, tfjs, tflite, teachable, ultralytics;"
        "print([m for m in ('tensorflow', 'torch', 'ultralytics', 'onnx', 'h5py', 'keras') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
