"""What agreement, loss and accuracy are, for each kind of answer: small cases by hand."""

import numpy as np
import pytest

from agent.detect.letterbox import Placement
from agent.modelfile import Card, Input, Output, Tensor
from convert import ConvertError
from convert.accuracy import compare, tasks
from convert.accuracy.compare import Recording, Seen
from convert.tuning import gate


def recording(head, task, role, arrays, labels=("a", "b", "c")):
    """A model that says these arrays, float32, a picture each."""
    shape = (1, *np.shape(arrays[0]))
    card = Card(task, head, labels, Input((8, 8)), (Output("out", role, shape),))
    tensor = Tensor("out", shape, "float32")
    place = Placement((1.0, 1.0), (0, 0))
    seen = tuple(Seen((np.array(a, np.float32)[None],), place, (8, 8)) for a in arrays)
    return Recording(card, (tensor,), seen)


def scores(*rows):
    return recording("classify", "classify", "score", rows)


def test_a_classifier_that_agrees_loses_nothing():
    a = scores([0.7, 0.2, 0.1], [0.1, 0.1, 0.8])
    found = tasks.agreement(a, a)
    assert found.loss == 0
    assert found.report() == {"top1": 1.0, "kl": 0.0, "regret": 0.0, "kl_max": 0.0}


def test_regret_is_what_float_thinks_of_the_other_choice():
    """One of two pictures is decided otherwise: float gave .7 to its own choice and .2 to that one."""
    found = tasks.agreement(scores([0.7, 0.2, 0.1], [0.1, 0.1, 0.8]), scores([0.3, 0.6, 0.1], [0.1, 0.1, 0.8]))
    assert found.report()["top1"] == 0.5
    assert found.loss == pytest.approx((0.7 - 0.2) / 2)
    assert found.report()["kl_max"] == pytest.approx(0.7 * np.log(7 / 3) + 0.2 * np.log(2 / 6), abs=1e-4)


def test_a_toss_up_decided_otherwise_is_hardly_regretted_but_counts_half():
    sure = [0.9, 0.1, 0.0]
    found = tasks.agreement(scores([0.5, 0.49, 0.01], sure, sure, sure), scores([0.49, 0.5, 0.01], sure, sure, sure))
    assert found.report()["top1"] == 0.75
    assert found.report()["regret"] == pytest.approx(0.01 / 4, abs=1e-4)
    assert found.loss == pytest.approx(0.25 / 2)
    assert tasks.agreed_loss(found.report()) == pytest.approx(0.25 / 2)


def test_top_1_is_counted_against_labels():
    a = scores([0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.4, 0.5, 0.1], [0.9, 0.1, 0.0])
    assert tasks.accuracy(a, [0, 2, 0, 0]) == {"top1": 0.75}


def naive_miou(truth, found):
    values = []
    for label in sorted({int(v) for t in truth for v in t.ravel() if v >= 0}):
        both = either = 0
        for t, f in zip(truth, found, strict=True):
            for a, b in zip(t.ravel(), f.ravel(), strict=True):
                if a >= 0:
                    both += a == label == b
                    either += label in (a, b)
        values.append(both / either)
    return np.mean(values)


def test_mean_iou_is_the_naive_one():
    rng = np.random.default_rng(4)
    truth = [rng.integers(-1, 4, (6, 9)) for _ in range(3)]
    found = [rng.integers(0, 5, (6, 9)) for _ in range(3)]
    assert tasks.mean_iou(truth, found) == pytest.approx(naive_miou(truth, found))
    assert tasks.mean_iou(found, found) == 1


def test_a_mask_is_read_at_the_middle_of_each_cell():
    mask = np.arange(8)[None, :].repeat(4, axis=0)
    assert tasks.on_grid(mask, (1, 4)).tolist() == [[1, 3, 5, 7]]
    assert tasks.on_grid(mask, (8, 8)).shape == (8, 8)


def test_vectors_and_pictures_have_no_labels_but_a_loss():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(3, 16))
    a, b = (recording("embed", "embed", "vector", r) for r in (rows, rows + 0.1 * rng.normal(size=rows.shape)))
    assert tasks.agreement(a, a).loss == pytest.approx(0, abs=1e-6)
    assert 0 < tasks.agreement(a, b).loss < 0.05
    with pytest.raises(ConvertError, match="task 'embed' has none"):
        tasks.accuracy(a, [0, 1, 2])


@pytest.mark.parametrize(
    ("f1", "iou", "loss"), [(1.0, 1.0, 0.0), (0.9, 0.95, 0.02), (0.95, 0.89, 0.022), (0.0, 0.0, 0.2)]
)
def test_boxes_lose_by_the_worse_of_f1_and_overlap(f1, iou, loss):
    found = compare.Agreement(10, f1, iou)
    assert found.loss == pytest.approx(loss)
    assert tasks.agreed_loss(found.report()) == pytest.approx(loss)


@pytest.mark.parametrize(
    ("report", "measure", "within"),
    [
        ({"agreement": {"int8": {"f1": 0.95, "mean_iou": 0.95}}}, "agreement", True),
        ({"agreement": {"int8": {"f1": 0.85, "mean_iou": 0.95}}}, "agreement", False),
        ({"agreement": {}, "accuracy": {"float32": {"map": 0.4}, "int8": {"map": 0.39}}}, "map", True),
        ({"accuracy": {"float32": {"top1": 0.9}, "int8": {"top1": 0.8}}}, "top1", False),
        ({"accuracy": {"float32": {"miou": 0.5}, "int8": {"miou": 0.6}}}, "miou", True),
    ],
)  # fmt: skip
def test_labels_decide_where_there_are_any(report, measure, within):
    verdict = gate.judge(report, 0.02)
    assert (verdict.measure, verdict.within, verdict.kept) == (measure, within, within)
    assert gate.judge(report, 0.02, accept_loss=True).kept
    assert gate.judge(report, 0.02, accept_loss=True).accepted is not within


def test_a_report_that_says_neither_is_an_error():
    with pytest.raises(ConvertError, match="their report has no 'agreement'; find them anew"):
        gate.judge({}, 0.02)


def test_advice_names_the_cause_and_the_place():
    part = {"operators": 90, "from": "stem", "to": "middle", "loss": 0.01}
    report = {
        "agreement": {
            "confidence": 0.3,
            "int8": {"f1": 0.6, "mean_iou": 0.9},
            "int8 boxes, float scores": {"f1": 0.99, "mean_iou": 0.92},
            "float boxes, int8 scores": {"f1": 0.61, "mean_iou": 0.97},
        },
        "search": {"parts": [part | {"loss": 0.06}, part]},
    }
    lines = gate.advice(report, edgetpu=True)
    assert lines[0].startswith("by cause: float boxes, int8 scores lose most")
    assert "between stem and middle; that quarter in float leaves a loss of 0.01" in lines[1]
    assert "without --edgetpu" in lines[2]
