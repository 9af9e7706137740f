"""The four outputs of TFLite_Detection_PostProcess, whatever order they come in."""

import itertools

import cv2
import numpy as np
import pytest

from agent import foreign, modelfile
from agent.detect.heads.ssd_postprocess import Head
from agent.detect.letterbox import Letterbox
from agent.modelfile import Card, Input, ModelError, Output, Tensor

CARD = Card(task="detect", head="ssd_postprocess", labels=("person", "bicycle"), input=Input(size=(200, 100)))
OP = "TFLite_Detection_PostProcess"
NAMED = [
    Tensor(OP, (1, 3, 4), "float32"),
    Tensor(OP + ":1", (1, 3), "float32"),
    Tensor(OP + ":2", (1, 3), "float32"),
    Tensor(OP + ":3", (1,), "float32"),
]
NAMELESS = [Tensor(f"StatefulPartitionedCall:{7 - i}", t.shape, t.dtype) for i, t in enumerate(NAMED)]


def arrays(boxes, classes, scores, count=3):
    values = (boxes, classes, scores, count)
    shapes = ((1, 3, 4), (1, 3), (1, 3), (1,))
    return [np.array(v, np.float32).reshape(shape) for v, shape in zip(values, shapes, strict=True)]


FRAME = arrays([[0.1, 0.2, 0.5, 0.4], [0, 0, 1, 1], [0, 0, 0, 0]], [1, 0, 0], [0.9, 0.6, 0.1])


def test_boxes_come_in_px_with_x_first():
    found = Head(CARD, NAMED, 0.5).decode(FRAME)
    np.testing.assert_allclose(found.xyxy, [[40, 10, 80, 50], [0, 0, 200, 100]])
    assert found.class_id.tolist() == [1, 0]
    np.testing.assert_allclose(found.confidence, [0.9, 0.6])


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
@pytest.mark.parametrize("tensors", [NAMED, NAMELESS], ids=["named", "nameless"])
def test_outputs_are_told_apart_in_any_order(order, tensors):
    found = Head(CARD, [tensors[i] for i in order], 0.5).decode([FRAME[i] for i in order])
    assert found.class_id.tolist() == [1, 0]
    np.testing.assert_allclose(found.confidence, [0.9, 0.6])


def test_an_empty_first_frame_leaves_nameless_outputs_undecided():
    head = Head(CARD, NAMELESS, 0.5)
    assert len(head.decode(arrays(np.zeros((3, 4)), [0, 0, 0], [0, 0, 0]))) == 0
    swapped = [FRAME[i] for i in (0, 2, 1, 3)]
    assert head.decode(swapped).class_id.tolist() == [1, 0]


def test_what_was_decided_stays_decided():
    head = Head(CARD, NAMELESS, 0.5)
    head.decode(FRAME)
    found = head.decode(arrays(np.zeros((3, 4)), [1, 0, 0], [1, 0, 0]))
    assert found.class_id.tolist() == [1]


def test_a_cards_roles_count_more_than_names():
    outputs = (Output(OP + ":1", "score", (1, 3)), Output(OP + ":2", "class", (1, 3)))
    card = Card(task="detect", head="ssd_postprocess", labels=("a", "b"), input=CARD.input, outputs=outputs)
    assert Head(card, NAMED, 0.5).decode([FRAME[i] for i in (0, 2, 1, 3)]).class_id.tolist() == [1, 0]


def test_words_in_names_are_understood():
    tensors = [Tensor(n, t.shape, t.dtype) for n, t in zip(("b", "Scores", "Classes", "n"), NAMED, strict=True)]
    head = Head(CARD, tensors, 0.5)
    assert head.decode([FRAME[i] for i in (0, 2, 1, 3)]).class_id.tolist() == [1, 0]


def test_only_as_many_rows_count_as_the_op_says():
    assert len(Head(CARD, NAMED, 0.05).decode([*FRAME[:3], np.array([1], np.float32)])) == 1
    assert len(Head(CARD, NAMED, 0.05).decode([*FRAME[:3], np.array([0], np.float32)])) == 0


def test_a_class_without_a_label_is_not_reported():
    assert Head(CARD, NAMED, 0.5).decode(arrays(np.zeros((3, 4)), [7, 1, 2], [0.9, 0.8, 0.7])).class_id.tolist() == [1]


@pytest.mark.parametrize(
    "tensors",
    [
        NAMED[:3],
        [NAMED[0], NAMED[1], NAMED[2], Tensor("n", (1, 3), "float32")],
        [*NAMED[1:], Tensor("b", (1, 9, 4), "float32")],
    ],
    ids=["three", "no count", "boxes of another length"],
)
def test_other_outputs_are_refused_at_construction(tensors):
    with pytest.raises(ModelError, match="not those of TFLite_Detection_PostProcess"):
        Head(CARD, tensors, 0.5)


@pytest.mark.parametrize("renamed", [False, True], ids=["by name", "by value"])
def test_a_real_foreign_detector_finds_the_labelled_objects(data_dir, renamed):
    """ssd_mobilenet_v1 on six validation images: most of what it is sure of is in the labels."""
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    path = data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite"
    labels = path.with_suffix("").with_suffix(".labels.txt").read_text().splitlines()[1:]  # line 0 is background
    names = _names(data_dir)
    interpreter = litert.Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    outputs = [_tensor(d, renamed) for d in interpreter.get_output_details()]
    inputs = [_tensor(d, False) for d in interpreter.get_input_details()]
    card = foreign.recognise(modelfile.read(path), inputs, outputs, tuple(labels))
    head, letterbox = Head(card, outputs, 0.6), Letterbox(card.input, inputs[0])
    right = wrong = 0
    for picture in sorted((data_dir / "coco" / "evaluate" / "images").iterdir())[:12]:
        crop = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
        letterbox.fill(interpreter.tensor(interpreter.get_input_details()[0]["index"])(), crop)
        interpreter.invoke()
        found = head.decode([interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()])
        truth = (data_dir / "coco" / "evaluate" / "labels" / picture.with_suffix(".txt").name).read_text()
        there = {names[int(line.split()[0])] for line in truth.splitlines()}
        seen = {labels[i] for i in found.class_id}
        right, wrong = right + len(seen & there), wrong + len(seen - there)
    assert right >= 8
    assert wrong <= right / 3


def _tensor(detail, renamed):
    name = f"out{detail['index']}" if renamed else detail["name"]
    scale, zero_point = detail["quantization"]
    return Tensor(name, tuple(map(int, detail["shape"])), np.dtype(detail["dtype"]).name, float(scale), int(zero_point))


def _names(data_dir):
    lines = (data_dir / "coco" / "data.yaml").read_text().splitlines()
    pairs = [line.strip().split(": ", 1) for line in lines if line.strip()[:1].isdigit()]
    return {int(i): name for i, name in pairs}
